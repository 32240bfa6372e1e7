// tracepoint:syscalls:sys_enter_openat { printf("%d %s %s\n", pid, comm, str(args.filename)); }
#include "kernel.h"

struct record {
	u64 action;
	u32 pid;
	u8 comm[16], path[1024];
};

PROBE(enter)(u64 *ctx)
{
	struct record *record = scalar(&scratch);
	if (!record)
		return 1;
	record->action = 0;
	record->pid = pid_tgid() >> 32;
	comm(record->comm, 16);
	u64 used = read_path(record->path, (u8 *)ctx[3]);
	if (used > 1024)
		used = 0;
	if (send(&events, record, 28 + used, 0))
		__sync_fetch_and_add(&lost, 1);
	return 1;
}
