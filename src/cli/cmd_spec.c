/* spec: a configuration to begin with */
#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "host/host.h"
#include "oci/features.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct spec_flags {
	const char *bundle, *config;
	bool rootless;
};

OPT_TABLE(spec_table, struct spec_flags, OPT_STR(struct spec_flags, bundle, "bundle", "b", "DIR", "where to write it (.)"),
	  OPT_STR(struct spec_flags, config, "config", "f", "FILE", "its name (config.json)"),
	  OPT_BOOL(struct spec_flags, rootless, "rootless", NULL, "for a user without privileges"));

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct template_mount {
	const char *dest, *type, *source;
	const char *options[8], *gid; /* gid: left out when there is one id only */
};

static const struct template_mount mounts[] = {
	{ "/proc", "proc", "proc", { NULL }, NULL },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" }, NULL },
	{ "/dev/pts", "devpts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" }, "gid=5" },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" }, NULL },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" }, NULL },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" }, NULL },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" }, NULL },
};
/* Without a network namespace of its own a user namespace may not mount sysfs. */
static const struct template_mount host_sys = { "/sys", "none", "/sys", { "rbind", "nosuid", "noexec", "nodev", "ro" }, NULL };

static void add_process(struct json_writer *w)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };

	json_open(w, "process", '{');
	json_bool(w, "terminal", true);
	json_open(w, "user", '{');
	json_u64(w, "uid", 0);
	json_u64(w, "gid", 0);
	json_close(w, '}');
	json_strs(w, "args", LIST("sh"));
	json_strs(w, "env", LIST("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"));
	json_str(w, "cwd", "/");
	json_open(w, "capabilities", '{');
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		json_strs(w, sets[i], LIST("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"));
	json_close(w, '}');
	json_open(w, "rlimits", '[');
	json_open(w, NULL, '{');
	json_str(w, "type", "RLIMIT_NOFILE");
	json_u64(w, "hard", 1024);
	json_u64(w, "soft", 1024);
	json_close(w, '}');
	json_close(w, ']');
	json_bool(w, "noNewPrivileges", true);
	json_close(w, '}');
}

static void add_mount(struct json_writer *w, const struct template_mount *m, bool gids)
{
	json_open(w, NULL, '{');
	json_str(w, "destination", m->dest);
	json_str(w, "type", m->type);
	json_str(w, "source", m->source);
	if (m->options[0]) {
		json_open(w, "options", '[');
		for (size_t i = 0; m->options[i]; i++)
			json_str(w, NULL, m->options[i]);
		if (m->gid && gids)
			json_str(w, NULL, m->gid);
		json_close(w, ']');
	}
	json_close(w, '}');
}

static void add_mounts(struct json_writer *w, bool rootless)
{
	json_open(w, "mounts", '[');
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
		if (!rootless || !str_starts(mounts[i].dest, "/sys"))
			add_mount(w, &mounts[i], !rootless);
	if (rootless)
		add_mount(w, &host_sys, false);
	json_close(w, ']');
}

static void add_id_map(struct json_writer *w, const char *name, uint64_t host_id)
{
	json_open(w, name, '[');
	json_open(w, NULL, '{');
	json_u64(w, "containerID", 0);
	json_u64(w, "hostID", host_id);
	json_u64(w, "size", 1);
	json_close(w, '}');
	json_close(w, ']');
}

static void add_resources(struct json_writer *w)
{
	json_open(w, "resources", '{');
	json_open(w, "devices", '[');
	json_open(w, NULL, '{');
	json_bool(w, "allow", false);
	json_str(w, "access", "rwm");
	json_close(w, '}');
	json_close(w, ']');
	json_close(w, '}');
}

static void add_linux(struct json_writer *w, bool rootless, bool cgroup_ns)
{
	const char *const types[] = { "pid", "ipc", "uts", "mount", rootless ? "user" : "network", cgroup_ns ? "cgroup" : NULL };

	json_open(w, "linux", '{');
	if (rootless) {
		add_id_map(w, "uidMappings", geteuid());
		add_id_map(w, "gidMappings", getegid());
	} else {
		add_resources(w);
	}
	json_open(w, "namespaces", '[');
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && types[i]; i++) {
		json_open(w, NULL, '{');
		json_str(w, "type", types[i]);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_strs(w, "maskedPaths",
		  LIST("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		       "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"));
	json_strs(w, "readonlyPaths", LIST("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"));
	json_close(w, '}');
}

void spec_template(bool rootless, bool cgroup_ns, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 2);
	json_open(&w, NULL, '{');
	json_str(&w, "ociVersion", OCI_VERSION_MAX);
	add_process(&w);
	json_open(&w, "root", '{');
	json_str(&w, "path", "rootfs");
	json_bool(&w, "readonly", true);
	json_close(&w, '}');
	json_str(&w, "hostname", "drupe");
	add_mounts(&w, rootless);
	add_linux(&w, rootless, cgroup_ns);
	json_close(&w, '}');
	strbuf_puts(out, "\n");
}

/* Never replaces what is there, and leaves no half of a file. */
static int write_new(int dir, const char *name, const struct strbuf *text, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, EEXIST, "%s exists: remove it first", name);
	if (fd < 0)
		return err_errno(e, "%s", name);
	int r = fd_write_all(fd, text->text, text->len, e);

	if (r < 0) {
		unlinkat(dir, name, 0);
		return err_in(e, "%s", name);
	}
	return 0;
}

static int run_spec(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const struct spec_flags *f = opts;
	const char *bundle = f->bundle ? f->bundle : ".";
	struct strbuf out = STRBUF(c->arena);
	struct host host;
	auto_fd int dir = openat(AT_FDCWD, bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)rest;
	if (dir < 0)
		return err_errno(e, "bundle %s", bundle);
	if ((r = host_probe(c->arena, HOST_CGROUPS, &host, e)) < 0)
		return r;
	spec_template(f->rootless, host.cgroup_mode == CGROUP_MODE_V2, &out);
	return write_new(dir, f->config ? f->config : "config.json", &out, e);
}

const struct command cmd_spec = {
	.name = "spec",
	.operands = "",
	.brief = "write a config.json",
	.help = "Writes a configuration to begin with. An existing file is left alone.",
	.example = "spec --bundle /srv/web",
	.opts = &spec_table,
	.no_root = true,
	.run = run_spec,
};
