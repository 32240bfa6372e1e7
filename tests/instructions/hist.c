// tracepoint:syscalls:sys_enter_read { @ = hist(args.count); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	u64 *buckets = scalar(&map);
	if (buckets)
		add_to_histogram(buckets, ctx[4]);
	return 1;
}
