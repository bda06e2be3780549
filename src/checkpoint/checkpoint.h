/* checkpoint.h - saving a running container to files and bringing it back
 *
 * The interface only: the operations of the OS backend will drive the program criu, those of the VM backend write a snapshot.
 * No command offers them yet.
 */
#pragma once
#include "container/container.h"

struct checkpoint_options {
	const char *image_path;  /* directory that receives or holds the images        */
	const char *work_path;   /* directory for logs; NULL: image_path               */
	const char *parent_path; /* images of the pre-dump, relative to image_path     */
	bool leave_running, pre_dump, tcp_established, ext_unix_sk, shell_job, file_locks;
};

/* Saves the container; it is removed afterwards unless leave_running or pre_dump. */
must_check int container_checkpoint(const struct runtime *rt, const char *id, const struct checkpoint_options *o, struct err *e);

/* Brings a container back from images; otherwise like container_run(). */
must_check int container_restore(const struct runtime *rt, const char *id, const struct checkpoint_options *o,
				 const struct run_options *run, int *status, struct err *e);
