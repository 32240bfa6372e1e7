// tracepoint:raw_syscalls:sys_enter { @[pid, args.id] = count(); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	struct {
		u32 pid, padding;
		u64 id;
	} key = { pid_tgid() >> 32, 0, ctx[1] };
	u64 *count = value(&map, &key);
	if (count)
		count[0]++;
	return 1;
}
