// tracepoint:syscalls:sys_enter_read { @start[tid] = nsecs; } tracepoint:syscalls:sys_exit_read /@start[tid]/ { @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	u64 now = boot_time();
	u32 tid = pid_tgid();
	if (update(&map, &tid, &now, 0))
		__sync_fetch_and_add(&full, 1);
	return 1;
}

PROBE(leave)(u64 *ctx)
{
	u32 tid = pid_tgid();
	u64 *start = look_up(&map, &tid);
	if (!start || !*start)
		return 1;
	u64 duration = boot_time() - *start;
	u64 *buckets = scalar(&other);
	if (buckets)
		add_to_histogram(buckets, duration);
	delete(&map, &tid);
	return 1;
}
