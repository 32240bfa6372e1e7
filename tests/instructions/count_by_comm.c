// tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	u8 key[16];
	comm(key, 16);
	u64 *count = value(&map, key);
	if (count)
		count[0]++;
	return 1;
}
