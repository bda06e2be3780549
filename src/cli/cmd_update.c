/* update */
#include "base/fd.h"
#include "base/retry.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESOURCES_MAX (4u << 20) /* bytes of --resources */

struct update_flags {
	const char *resources, *memory, *memory_reservation, *memory_swap, *pids, *shares, *quota, *period, *burst, *idle,
		*rt_runtime, *rt_period, *cpus, *mems, *weight, *kernel, *kernel_tcp, *l3, *bandwidth;
};

#define UPDATE_STR(m, nm, sh, ar, h) OPT_STR(struct update_flags, m, nm, sh, ar, h)
OPT_TABLE(update_table, struct update_flags,
	  UPDATE_STR(resources, "resources", "r", "FILE", "all limits as JSON; - is standard input"),
	  UPDATE_STR(memory, "memory", NULL, "SIZE", "memory: 512m, 1g, -1 for no limit"),
	  UPDATE_STR(memory_reservation, "memory-reservation", NULL, "SIZE", "memory to be kept for it"),
	  UPDATE_STR(memory_swap, "memory-swap", NULL, "SIZE", "memory and swap together"),
	  UPDATE_STR(pids, "pids-limit", NULL, "N", "processes; -1 for no limit"),
	  UPDATE_STR(shares, "cpu-share", NULL, "N", "share of the processors (1024)"),
	  UPDATE_STR(quota, "cpu-quota", NULL, "USEC", "processor time in each period; -1: any"),
	  UPDATE_STR(period, "cpu-period", NULL, "USEC", "length of a period"),
	  UPDATE_STR(burst, "cpu-burst", NULL, "USEC", "unused time that may be saved up"),
	  UPDATE_STR(idle, "cpu-idle", NULL, "0|1", "1: only when nobody else wants to"),
	  UPDATE_STR(rt_runtime, "cpu-rt-runtime", NULL, "USEC", "real-time quota"),
	  UPDATE_STR(rt_period, "cpu-rt-period", NULL, "USEC", "real-time period"),
	  UPDATE_STR(cpus, "cpuset-cpus", NULL, "LIST", "processors: 0-2,7"),
	  UPDATE_STR(mems, "cpuset-mems", NULL, "LIST", "memory nodes"),
	  UPDATE_STR(weight, "blkio-weight", NULL, "N", "share of the disks, 10 to 1000"),
	  UPDATE_STR(l3, "l3-cache-schema", NULL, "SCHEMA", "parts of the L3 cache: L3:0=f;1=ff"),
	  UPDATE_STR(bandwidth, "mem-bw-schema", NULL, "SCHEMA", "memory bandwidth: MB:0=50;1=70"),
	  UPDATE_STR(kernel, "kernel-memory", NULL, "SIZE", NULL), UPDATE_STR(kernel_tcp, "kernel-memory-tcp", NULL, "SIZE", NULL));

int size_parse(const char *s, int64_t *out, struct err *e)
{
	static const char units[] = "kmgtp";
	size_t digits = strspn(s, "0123456789");
	const char *rest = s + digits;
	uint64_t value, scale = 1;

	if (!strcmp(s, "-1")) {
		*out = -1;
		return 0;
	}
	if (*rest && strchr("kmgtpKMGTP", *rest)) {
		const char *unit = strchr(units, *rest | 0x20);

		scale = 1ull << (10 * (unit - units + 1));
		rest++;
		rest += *rest == 'i';
	}
	rest += *rest == 'b' || *rest == 'B';
	if (!digits || *rest)
		return err_set(e, EINVAL, "\"%.60s\" is not a size like 512m, 1g or -1", s);
	errno = 0;
	value = strtoull(s, NULL, 10);
	if (errno || __builtin_mul_overflow(value, scale, &value) || value > INT64_MAX)
		return err_set(e, ERANGE, "\"%.60s\" is too much", s);
	*out = (int64_t)value;
	return 0;
}

/* A flag that was not given, or as "", leaves its limit alone. */
static int take_size(const char *flag, const char *s, struct opt_i64 *out, struct err *e)
{
	if (!s || !*s)
		return 0;
	out->set = true;
	return size_parse(s, &out->value, e) < 0 ? err_in(e, "--%s", flag) : 0;
}

static int take_i64(const char *flag, const char *s, struct opt_i64 *out, struct err *e)
{
	if (!s || !*s)
		return 0;
	out->set = true;
	return parse_i64(s, &out->value, e) < 0 ? err_in(e, "--%s", flag) : 0;
}

static int take_u64(const char *flag, const char *s, struct opt_u64 *out, struct err *e)
{
	if (!s || !*s)
		return 0;
	out->set = true;
	return parse_u64(s, &out->value, e) < 0 ? err_in(e, "--%s", flag) : 0;
}

static const char *given(const char *s)
{
	return s && *s ? s : NULL;
}

static int from_flags(struct cli *c, const struct update_flags *f, const struct oci_resources **out, struct err *e)
{
	struct oci_resources *r = arena_new(c->arena, struct oci_resources);
	struct oci_memory *m = arena_new(c->arena, struct oci_memory);
	struct oci_cpu *cpu = arena_new(c->arena, struct oci_cpu);
	struct oci_pids *pids = arena_new(c->arena, struct oci_pids);
	struct oci_block_io *io = arena_new(c->arena, struct oci_block_io);
	struct opt_i64 ignored;

	*r = (struct oci_resources){ .memory = m, .cpu = cpu, .pids = pids, .block_io = io };
	cpu->cpus = given(f->cpus);
	cpu->mems = given(f->mems);
	*out = r;
	if (take_size("memory", f->memory, &m->limit, e) < 0 ||
	    take_size("memory-reservation", f->memory_reservation, &m->reservation, e) < 0 ||
	    take_size("memory-swap", f->memory_swap, &m->swap, e) < 0 || take_i64("pids-limit", f->pids, &pids->limit, e) < 0 ||
	    take_u64("cpu-share", f->shares, &cpu->shares, e) < 0 || take_i64("cpu-quota", f->quota, &cpu->quota, e) < 0 ||
	    take_u64("cpu-period", f->period, &cpu->period, e) < 0 || take_u64("cpu-burst", f->burst, &cpu->burst, e) < 0 ||
	    take_i64("cpu-idle", f->idle, &cpu->idle, e) < 0 ||
	    take_i64("cpu-rt-runtime", f->rt_runtime, &cpu->realtime_runtime, e) < 0 ||
	    take_u64("cpu-rt-period", f->rt_period, &cpu->realtime_period, e) < 0 ||
	    take_u64("blkio-weight", f->weight, &io->weight, e) < 0 ||
	    /* Kernels no longer have these two: checked, and ignored. */
	    take_size("kernel-memory", f->kernel, &ignored, e) < 0 ||
	    take_size("kernel-memory-tcp", f->kernel_tcp, &ignored, e) < 0)
		return -e->code;
	return 0;
}

/* Standard input may be a pipe. Somebody who writes nothing is the caller's own mistake. */
static ssize_t read_stdin(struct cli *c, char **out, struct err *e)
{
	char *text = arena_alloc(c->arena, RESOURCES_MAX + 1);
	size_t len = 0;

	for (;;) {
		ssize_t n = RETRY(read(STDIN_FILENO, text + len, RESOURCES_MAX + 1 - len));

		if (n < 0)
			return err_errno(e, "standard input");
		len += (size_t)n;
		if (len > RESOURCES_MAX)
			return err_set(e, EFBIG, "standard input: more than %u bytes", RESOURCES_MAX);
		if (n == 0)
			break;
	}
	text[len] = '\0';
	*out = text;
	return (ssize_t)len;
}

static bool any_other(const struct update_flags *f)
{
	const char *const others[] = {
		f->memory, f->memory_reservation, f->memory_swap, f->pids, f->shares, f->quota,  f->period,    f->burst, f->idle,
		f->weight, f->rt_runtime,         f->rt_period,   f->cpus, f->mems,   f->kernel, f->kernel_tcp
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (given(others[i]))
			return true;
	return false;
}

static int from_document(struct cli *c, const struct update_flags *f, const struct oci_resources **out, struct err *e)
{
	char *text;

	if (any_other(f))
		return err_set(e, EINVAL, "--resources excludes the flags for single limits");
	ssize_t n = str_eq(f->resources, "-") ? read_stdin(c, &text, e)
					      : file_read(AT_FDCWD, f->resources, RESOURCES_MAX, false, c->arena, &text, e);

	if (n < 0 || oci_resources_parse(c->arena, text, (size_t)n, out, e) < 0)
		return err_in(e, "--resources");
	return 0;
}

/* The lines for the container's class of resctrl, or NULL. */
static int take_schemata(struct cli *c, const struct update_flags *f, const char **out, struct err *e)
{
	const char *const lines[] = { given(f->l3), given(f->bandwidth) };
	struct strbuf text = STRBUF(c->arena);

	for (size_t i = 0; i < 2; i++) {
		if (lines[i] && strchr(lines[i], '\n'))
			return err_set(e, EINVAL, "--%s: must be one line", i ? "mem-bw-schema" : "l3-cache-schema");
		if (lines[i])
			strbuf_printf(&text, "%s\n", lines[i]);
	}
	*out = text.len ? strbuf_str(&text) : NULL;
	return 0;
}

static int run_update(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const struct update_flags *f = opts;
	const struct oci_resources *update;
	const char *schemata = NULL;
	int r = given(f->resources) ? from_document(c, f, &update, e) : from_flags(c, f, &update, e);

	if (r == 0)
		r = take_schemata(c, f, &schemata, e);
	return r < 0 ? r : cli_done(container_update(&c->rt, rest->args[0], update, schemata, e));
}

const struct command cmd_update = {
	.name = "update",
	.operands = "CONTAINER",
	.brief = "change its limits",
	.help = "Changes limits of a container that lives.",
	.example = "update --memory 512m --pids-limit 100 web",
	.opts = &update_table,
	.min = 1,
	.max = 1,
	.run = run_update,
};
