// uprobe:libc:read { @[arg0 & 7] = count(); }
#include "kernel.h"

PROBE(enter)(u64 *ctx)
{
	u64 key = ctx[14] & 7;
	u64 *count = value(&map, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
