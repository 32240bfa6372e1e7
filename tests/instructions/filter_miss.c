// tracepoint:raw_syscalls:sys_enter /pid == 999999999/ { @ = count(); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	if (pid_tgid() >> 32 != 999999999)
		return 1;
	u64 *count = scalar(&map);
	if (count) {
		count[1] = 1;
		count[0]++;
	}
	return 1;
}
