/* checkpoint, restore: the command line only
 *
 * Callers probe it: podman looks at the status of `checkpoint --help`, and at what `restore --lsm-mount-context` says about the
 * missing value, before it believes that a runtime can do either. What is not there yet is refused in one line.
 */
#include "cli/cli.h"

#include <errno.h>

static const char *const cgroup_modes[] = { "soft", "full", "strict", "ignore", NULL };
static const char *const lock_methods[] = { "iptables", "nftables", "skip", NULL };

struct checkpoint_flags {
	const char *image_path, *work_path, *parent_path, *cgroups_mode, *page_server, *empty_ns, *network_lock;
	unsigned status_fd;
	bool leave_running, pre_dump, tcp_established, ext_unix_sk, shell_job, file_locks, lazy_pages, auto_dedup, link_remap,
		tcp_skip_in_flight;
};

struct restore_flags {
	struct checkpoint_flags images; /* those that both have */
	const char *bundle, *pid_file, *console_socket, *lsm_profile, *lsm_mount_context;
	unsigned preserve_fds;
	bool detach, no_subreaper, no_pivot, no_new_keyring, tcp_close;
};

/* clang-format off */
#define IMAGE_OPTS(T, m)                                                                                              \
	OPT_STR(T, m image_path, "image-path", NULL, "DIR", "where the images are (checkpoint)"),                     \
	OPT_STR(T, m work_path, "work-path", NULL, "DIR", "where logs go (the image path)"),                          \
	OPT_BOOL(T, m tcp_established, "tcp-established", NULL, "keep open TCP connections"),                         \
	OPT_BOOL(T, m ext_unix_sk, "ext-unix-sk", NULL, "allow Unix sockets that lead outside"),                      \
	OPT_BOOL(T, m shell_job, "shell-job", NULL, "allow a terminal of the caller's"),                              \
	OPT_BOOL(T, m file_locks, "file-locks", NULL, "keep file locks"),                                             \
	OPT_CHOICE(T, m cgroups_mode, "manage-cgroups-mode", NULL, "MODE", "soft, full, strict or ignore", cgroup_modes), \
	OPT_CHOICE(T, m network_lock, "network-lock", NULL, "HOW", "iptables, nftables or skip", lock_methods),       \
	OPT_STR(T, m empty_ns, "empty-ns", NULL, "NS", "leave a namespace empty: network"),                           \
	OPT_BOOL(T, m auto_dedup, "auto-dedup", NULL, "free what a later image repeats"),                             \
	OPT_BOOL(T, m lazy_pages, "lazy-pages", NULL, "move memory when it is needed")
/* clang-format on */

OPT_TABLE(checkpoint_table, struct checkpoint_flags, IMAGE_OPTS(struct checkpoint_flags, ),
	  OPT_BOOL(struct checkpoint_flags, leave_running, "leave-running", NULL, "do not end the container"),
	  OPT_BOOL(struct checkpoint_flags, pre_dump, "pre-dump", NULL, "memory only, the container goes on"),
	  OPT_STR(struct checkpoint_flags, parent_path, "parent-path", NULL, "DIR", "earlier images, from the image path"),
	  OPT_STR(struct checkpoint_flags, page_server, "page-server", NULL, "HOST:PORT", "send memory there"),
	  OPT_U32(struct checkpoint_flags, status_fd, "status-fd", NULL, "N", "descriptor to tell readiness on"),
	  OPT_BOOL(struct checkpoint_flags, link_remap, "link-remap", NULL, "allow files without a name"),
	  OPT_BOOL(struct checkpoint_flags, tcp_skip_in_flight, "tcp-skip-in-flight", NULL, "drop half-open connections"));

OPT_TABLE(restore_table, struct restore_flags, IMAGE_OPTS(struct restore_flags, images.),
	  OPT_STR(struct restore_flags, bundle, "bundle", "b", "DIR", "directory of config.json (.)"),
	  OPT_BOOL(struct restore_flags, detach, "detach", "d", "do not wait for the container to end"),
	  OPT_STR(struct restore_flags, pid_file, "pid-file", NULL, "FILE", "write the pid of the container's init"),
	  OPT_STR(struct restore_flags, console_socket, "console-socket", NULL, "SOCK", "send the terminal's master there"),
	  OPT_STR(struct restore_flags, lsm_profile, "lsm-profile", NULL, "TYPE:NAME", "AppArmor profile or SELinux label"),
	  OPT_STR(struct restore_flags, lsm_mount_context, "lsm-mount-context", NULL, "CONTEXT", "SELinux context of mounts"),
	  OPT_BOOL(struct restore_flags, tcp_close, "tcp-close", NULL, "close TCP connections"),
	  OPT_BOOL(struct restore_flags, no_pivot, "no-pivot", NULL, "move and chroot instead of pivot_root"),
	  OPT_BOOL(struct restore_flags, no_new_keyring, "no-new-keyring", NULL, NULL),
	  OPT_U32(struct restore_flags, preserve_fds, "preserve-fds", NULL, "N", NULL),
	  OPT_BOOL(struct restore_flags, no_subreaper, "no-subreaper", NULL, NULL));

static int run_checkpoint(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	(void)c;
	(void)opts;
	return err_set(e, ENOTSUP, "checkpoint of container \"%s\": this build has no checkpoint and restore yet", rest->args[0]);
}

static int run_restore(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	(void)c;
	(void)opts;
	return err_set(e, ENOTSUP, "restore of container \"%s\": this build has no checkpoint and restore yet", rest->args[0]);
}

const struct command cmd_checkpoint = {
	.name = "checkpoint",
	.operands = "CONTAINER",
	.brief = "save it (not built yet)",
	.help = "Saves a running container to files. Not part of this build yet: it is refused.",
	.example = "checkpoint --image-path /srv/images web",
	.opts = &checkpoint_table,
	.min = 1,
	.max = 1,
	.run = run_checkpoint,
};

const struct command cmd_restore = {
	.name = "restore",
	.operands = "CONTAINER",
	.brief = "bring it back (same)",
	.help = "Brings a container back from files. Not part of this build yet: it is refused.",
	.example = "restore --image-path /srv/images --bundle /srv/web web",
	.opts = &restore_table,
	.min = 1,
	.max = 1,
	.run = run_restore,
};
