// tracepoint:syscalls:sys_enter_read { @[kstack(8)] = count(); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	u64 *frames = scalar(&scratch);
	if (!frames)
		return 1;
	stack(ctx, frames, 64, 0);
	u64 *count = value(&map, frames);
	if (count)
		count[0]++;
	return 1;
}
