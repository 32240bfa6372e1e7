// tracepoint:syscalls:sys_enter_read { @[tid] = sum(args.count); @s = stats(args.count); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	u32 tid = pid_tgid();
	u64 *sum = value(&map, &tid);
	if (sum)
		sum[0] += ctx[4];
	u64 *stats = scalar(&other);
	if (stats) {
		stats[2] = 1;
		stats[0] += ctx[4];
		stats[1]++;
	}
	return 1;
}
