// tracepoint:syscalls:sys_enter_openat { @[str(args.filename)] = count(); }
#include "kernel.h"

/* Strings that fit 64 bytes are in a map of their own, as kscope has them. */
PROBE(enter)(u64 *ctx)
{
	u64 *key = scalar(&scratch);
	if (!key)
		return 1;
	for (int i = 0; i < 8; i++)
		key[i] = 0;
	u8 *path = (u8 *)key;
	u64 used = read_path(path, (u8 *)ctx[3]);
	void *in = &map;
	if (path[63]) {
		if (used < 1024)
			read_kernel(path + used, 1024 - used, zeros);
		in = &other;
	}
	u64 *count = value(in, path);
	if (count)
		count[0]++;
	return 1;
}
