/* What the programs beside this file share: helpers, maps, and the ways to count that kscope has.
 * They are compiled and counted by tests/bench, never run. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;

#define PROBE(name) __attribute__((section("probe_" #name), used)) int name
#define INLINE static inline __attribute__((always_inline))

static void *(*const look_up)(void *, const void *) = (void *)1;
static long (*const update)(void *, const void *, const void *, u64) = (void *)2;
static long (*const delete)(void *, const void *) = (void *)3;
static u64 (*const pid_tgid)(void) = (void *)14;
static long (*const comm)(void *, u32) = (void *)16;
static long (*const stack)(void *, void *, u32, u64) = (void *)67;
static long (*const read_user)(void *, u32, const void *) = (void *)112;
static long (*const read_kernel)(void *, u32, const void *) = (void *)113;
static long (*const read_string)(void *, u32, const void *) = (void *)114;
static u64 (*const boot_time)(void) = (void *)125;
static long (*const send)(void *, void *, u64, u64) = (void *)130;

struct map {
	int unused;
};
struct map map, other, scratch, events __attribute__((section(".maps")));
u64 full, lost;
u8 zeros[1024];

/* The value of a key, inserted when it is missing. */
INLINE u64 *value(void *map, const void *key)
{
	u64 *found = look_up(map, key);
	if (!found) {
		update(map, key, zeros, 1);
		found = look_up(map, key);
		if (!found)
			__sync_fetch_and_add(&full, 1);
	}
	return found;
}

/* The only value of a map without a key. */
INLINE void *scalar(void *map)
{
	u32 zero = 0;
	return look_up(map, &zero);
}

INLINE u32 log2(u64 value)
{
	u32 log = 0, step;
	step = (value > 0xffffffff) << 5, value >>= step, log |= step;
	step = (value > 0xffff) << 4, value >>= step, log |= step;
	step = (value > 0xff) << 3, value >>= step, log |= step;
	step = (value > 0xf) << 2, value >>= step, log |= step;
	step = (value > 0x3) << 1, value >>= step, log |= step;
	return log | value >> 1;
}

/* 65 buckets and a word that says that there are any. */
INLINE void add_to_histogram(u64 *buckets, s64 value)
{
	u64 bucket = value < 0 ? 0 : value == 0 ? 1 : log2(value) + 2;
	buckets[65] = 1;
	if (bucket < 65)
		buckets[bucket]++;
}

/* Up to 1024 bytes; a string that goes on behind them ends in 0xff. */
INLINE long read_path(u8 *to, const u8 *from)
{
	long used = read_string(to, 1024, from);
	if (used == 1024) {
		u8 last;
		read_user(&last, 1, from + 1023);
		if (last)
			to[1023] = 0xff;
	}
	return used;
}
