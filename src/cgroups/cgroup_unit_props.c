/* The properties of a container's systemd unit.
 *
 * systemd gets every limit that it knows of, and the same limits are then written to the files, as with the cgroupfs driver. The
 * files make them exact and complete; the properties make that systemd, which writes its own idea of a unit's limits again on
 * every reload, writes the same.
 *
 * Devices: DeviceAllow lists what may be used and knows neither order nor exceptions. It gets everything that any rule leaves
 * allowed, possibly more, because on cgroup v2 our own filter counts as well and both must agree. Where everything is allowed by
 * default there is nothing to list.
 */
#include "base/str.h"
#include "cgroups/cgroup_systemd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ANNOTATION  "org.systemd.property."
#define QUOTA_STEP  10000  /* microseconds in a second of CPU time: systemd keeps quotas in steps of one percent */
#define PERIOD_USEC 100000 /* the kernel's default */
#define CPUS_MAX    8192
#define UNLIMITED   UINT64_MAX

void cg_prop_set(struct cg_props *p, bool at_start, const char *name, const char *type, const char *words)
{
	size_t i = 0;

	while (i < p->n && !str_eq(p->v[i].name, name))
		i++;
	if (i == p->room) {
		size_t room = p->room ? 2 * p->room : 32;
		struct cgroup_property *v = arena_alloc(p->arena, room * sizeof(*v));

		if (p->n)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
		p->room = room;
	}
	p->v[i] = (struct cgroup_property){ .name = name, .type = type, .words = words, .at_start = at_start };
	p->n += i == p->n;
}

void cg_add_word(struct strbuf *words, const char *word)
{
	if (words->len)
		strbuf_puts(words, " ");
	if (!*word)
		strbuf_puts(words, "\\e");
	for (; *word; word++) {
		unsigned char c = (unsigned char)*word;

		strbuf_printf(words, c <= ' ' || c >= 0x7f || c == '\\' ? "\\x%02x" : "%c", c);
	}
}

static void set_text(struct cg_props *p, const char *name, const char *text)
{
	struct strbuf words = STRBUF(p->arena);

	cg_add_word(&words, text);
	cg_prop_set(p, true, name, "s", strbuf_str(&words));
}

static void set_true(struct cg_props *p, const char *name)
{
	cg_prop_set(p, true, name, "b", "true");
}

/* A limit, brought into the range that systemd takes. */
static void set_u64(struct cg_props *p, const char *name, uint64_t value, uint64_t min, uint64_t max)
{
	value = value < min ? min : value > max && value != UNLIMITED ? max : value;
	cg_prop_set(p, false, name, "t", arena_printf(p->arena, "%" PRIu64, value));
}

/* ---- cpu ---- */

static void set_quota(struct cg_props *p, int64_t quota, uint64_t period)
{
	uint64_t per_sec = UNLIMITED;

	period = period ? period : PERIOD_USEC;
	if (quota > 0 && (uint64_t)quota < UINT64_MAX / 1000000 - QUOTA_STEP) {
		per_sec = (uint64_t)quota * 1000000 / period;
		per_sec = (per_sec + QUOTA_STEP - 1) / QUOTA_STEP * QUOTA_STEP;
	}
	set_u64(p, "CPUQuotaPerSecUSec", per_sec, QUOTA_STEP, UNLIMITED);
}

/* "0-3,5" as a mask, the lowest byte first, in hexadecimal; false: not such a list, which the kernel will say. */
static bool add_mask(struct strbuf *out, const char *list)
{
	uint8_t mask[CPUS_MAX / 8] = { 0 };
	size_t top = 0;

	while (*list) {
		uint64_t first, last;

		if (scan_numbers(list, "", &first, 1, &list) != 1)
			return false;
		last = first;
		if (*list == '-' && scan_numbers(list + 1, "", &last, 1, &list) != 1)
			return false;
		if (last >= CPUS_MAX || last < first || (*list && *list != ','))
			return false;
		for (uint64_t i = first; i <= last; i++)
			mask[i / 8] |= (uint8_t)(1 << i % 8);
		top = last / 8 > top ? last / 8 : top;
		list += *list == ',';
	}
	for (size_t i = 0; i <= top; i++)
		strbuf_printf(out, "%02x", mask[i]);
	return true;
}

static void set_cpu_list(struct cg_props *p, const char *name, const char *list)
{
	struct strbuf mask = STRBUF(p->arena);

	if (list && *list && add_mask(&mask, list))
		cg_prop_set(p, false, name, "ay", strbuf_str(&mask));
}

static void set_cpu(struct cg_props *p, const struct oci_cpu *c, bool v2)
{
	uint64_t shares = c->shares.set ? c->shares.value : 0, period = c->period.set ? c->period.value : 0;

	if (shares && v2)
		set_u64(p, "CPUWeight", cg_weight_of_shares(shares), 1, 10000);
	else if (shares)
		set_u64(p, "CPUShares", shares, 2, 262144);
	if (v2 && c->idle.set && c->idle.value == 1)
		set_u64(p, "CPUWeight", 0, 0, 0);
	if (period)
		set_u64(p, "CPUQuotaPeriodUSec", period, 1000, 1000000);
	if (c->quota.set && c->quota.value)
		set_quota(p, c->quota.value, period);
	set_cpu_list(p, "AllowedCPUs", c->cpus);
	set_cpu_list(p, "AllowedMemoryNodes", c->mems);
}

/* ---- memory ---- */

static void set_bytes(struct cg_props *p, const char *name, struct opt_i64 v, uint64_t min)
{
	if (v.set && v.value)
		set_u64(p, name, v.value < 0 ? UNLIMITED : (uint64_t)v.value, min, UNLIMITED);
}

static void set_memory(struct cg_props *p, const struct oci_memory *m, bool v2)
{
	if (!v2) {
		set_bytes(p, "MemoryLimit", m->limit, 1);
		return;
	}
	set_bytes(p, "MemoryMax", m->limit, 1);
	set_bytes(p, "MemoryLow", m->reservation, 0);
	if ((m->swap.set && m->swap.value < 0) || (!m->swap.set && m->limit.set && m->limit.value < 0))
		set_u64(p, "MemorySwapMax", UNLIMITED, 0, UNLIMITED);
	else if (m->swap.set && m->swap.value && m->limit.set && m->limit.value > 0 && m->swap.value >= m->limit.value)
		set_u64(p, "MemorySwapMax", (uint64_t)(m->swap.value - m->limit.value), 0, UNLIMITED);
}

static void set_pids(struct cg_props *p, int64_t limit)
{
	set_u64(p, "TasksMax", limit < 0 ? UNLIMITED : (uint64_t)limit, 1, UNLIMITED);
}

/* ---- io ---- */

static void add_device(struct strbuf *words, int64_t major, int64_t minor, uint64_t value)
{
	strbuf_printf(words, "%s/dev/block/%" PRId64 ":%" PRId64 " %" PRIu64, words->len ? " " : "", major, minor, value);
}

static void set_throttle(struct cg_props *p, const char *name, const struct oci_throttle_list *l)
{
	struct strbuf words = STRBUF(p->arena);

	for (size_t i = 0; i < l->n; i++)
		add_device(&words, l->v[i].major, l->v[i].minor, l->v[i].rate ? l->v[i].rate : UNLIMITED);
	if (words.len)
		cg_prop_set(p, false, name, "a(st)", strbuf_str(&words));
}

static void set_io(struct cg_props *p, const struct oci_block_io *io, bool v2)
{
	struct strbuf weights = STRBUF(p->arena);

	if (io->weight.set && io->weight.value)
		set_u64(p, v2 ? "IOWeight" : "BlockIOWeight", v2 ? cg_weight_of_blkio(io->weight.value) : io->weight.value, 1,
			v2 ? 10000 : 1000);
	if (!v2)
		return;
	for (size_t i = 0; i < io->weight_device.n; i++) {
		const struct oci_blk_weight *w = &io->weight_device.v[i];

		if (w->weight.set && w->weight.value)
			add_device(&weights, w->major, w->minor, cg_weight_of_blkio(w->weight.value));
	}
	if (weights.len)
		cg_prop_set(p, false, "IODeviceWeight", "a(st)", strbuf_str(&weights));
	set_throttle(p, "IOReadBandwidthMax", &io->read_bps);
	set_throttle(p, "IOWriteBandwidthMax", &io->write_bps);
	set_throttle(p, "IOReadIOPSMax", &io->read_iops);
	set_throttle(p, "IOWriteIOPSMax", &io->write_iops);
}

/* ---- unified: the same limits by the names of their files ---- */

/* A number as the kernel reads it: "max", or with K, M, G, T. */
static bool read_number(const char *text, uint64_t *out)
{
	static const char units[] = "kmgt";
	size_t digits = strspn(text, "0123456789"), len = strcspn(text, "\n");
	struct err ignored;
	char number[24];

	*out = UNLIMITED;
	if (len == 3 && strncmp(text, "max", 3) == 0)
		return true;
	if (!digits || digits >= sizeof(number) || len > digits + 1)
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)digits, text);
	if (parse_u64(number, out, &ignored) < 0)
		return false;
	if (len == digits)
		return true;
	const char *unit = strchr(units, text[digits] | 0x20);
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

	if (!unit || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static void set_cpu_max(struct cg_props *p, const char *text)
{
	const char *space = strchr(text, ' ');
	uint64_t quota, period = 0;

	if (space && read_number(space + 1, &period))
		set_u64(p, "CPUQuotaPeriodUSec", period, 1000, 1000000);
	if (read_number(arena_strndup(p->arena, text, strcspn(text, " \n")), &quota))
		set_quota(p, quota > INT64_MAX ? -1 : (int64_t)quota, period);
}

static void set_unified(struct cg_props *p, const struct pair *u)
{
	static const struct {
		const char *file, *property;
		uint64_t min, max;
	} plain[] = {
		{ "memory.max", "MemoryMax", 1, UNLIMITED },
		{ "memory.high", "MemoryHigh", 1, UNLIMITED },
		{ "memory.low", "MemoryLow", 0, UNLIMITED },
		{ "memory.min", "MemoryMin", 0, UNLIMITED },
		{ "memory.swap.max", "MemorySwapMax", 0, UNLIMITED },
		{ "memory.zswap.max", "MemoryZSwapMax", 0, UNLIMITED },
		{ "pids.max", "TasksMax", 1, UNLIMITED },
		{ "cpu.weight", "CPUWeight", 1, 10000 },
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (str_eq(u->name, plain[i].file) && read_number(u->value, &value))
			set_u64(p, plain[i].property, value, plain[i].min, plain[i].max);
	if (str_eq(u->name, "cpu.idle") && read_number(u->value, &value) && value == 1)
		set_u64(p, "CPUWeight", 0, 0, 0);
	else if (str_eq(u->name, "cpu.max"))
		set_cpu_max(p, u->value);
	else if (str_eq(u->name, "cpuset.cpus"))
		set_cpu_list(p, "AllowedCPUs", u->value);
	else if (str_eq(u->name, "cpuset.mems"))
		set_cpu_list(p, "AllowedMemoryNodes", u->value);
	else if (str_eq(u->name, "memory.oom.group") && read_number(u->value, &value))
		cg_prop_set(p, true, "OOMPolicy", "s", value ? "kill" : "continue");
}

/* ---- devices ---- */

static const char *device_node(struct arena *a, const struct cg_dev_rule *r)
{
	const char *kind = r->type == 'b' ? "block" : "char";

	if (r->major == -1) /* nor is there a way to say "every major, this minor" */
		return arena_printf(a, "%s-*", kind);
	if (r->minor == -1)
		return arena_printf(a, "%s-%" PRId64, kind, r->major);
	return arena_printf(a, "/dev/%s/%" PRId64 ":%" PRId64, kind, r->major, r->minor);
}

static int set_devices(struct cg_props *p, const struct oci_device_rule_list *l, struct err *e)
{
	struct strbuf words = STRBUF(p->arena);
	struct cg_dev_rules rules, allowed = { 0 };

	if (cg_device_rules(l, p->arena, &rules, e) < 0)
		return -e->code;
	bool open = rules.n == 0 || rules.v[0].allow;

	if (!open)
		cg_devices_left(&rules, p->arena, &allowed);
	for (size_t i = 0; i < allowed.n; i++) {
		const struct cg_dev_rule *r = &allowed.v[i];

		cg_add_word(&words, device_node(p->arena, r));
		strbuf_printf(&words, " %s%s%s", r->access & CG_DEV_READ ? "r" : "", r->access & CG_DEV_WRITE ? "w" : "",
			      r->access & CG_DEV_MKNOD ? "m" : "");
	}
	cg_prop_set(p, false, "DevicePolicy", "s", open ? "auto" : "strict");
	/* A list is added to what is there, an empty one clears it. */
	cg_prop_set(p, false, "DeviceAllow", "a(ss)", strbuf_str(&words));
	return 0;
}

/* ---- all of them ---- */

static void set_kind(struct cg_props *p, const char *id, const struct cgroup_unit *u, bool v2)
{
	set_text(p, "Description", arena_printf(p->arena, "drupe container %s", id));
	set_text(p, u->is_slice ? "Wants" : "Slice", u->slice);
	if (u->is_slice)
		p->v[p->n - 1].type = "as";
	else
		set_true(p, "Delegate");
	cg_prop_set(p, true, "DefaultDependencies", "b", "false");
	cg_prop_set(p, true, "CollectMode", "s", "inactive-or-failed");
	set_true(p, "CPUAccounting");
	set_true(p, "MemoryAccounting");
	set_true(p, v2 ? "IOAccounting" : "BlockIOAccounting");
	set_true(p, "TasksAccounting");
}

static int set_annotations(struct cg_props *p, const struct pairs *list, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct pair *a = &list->v[i];

		if (str_starts(a->name, ANNOTATION) && cg_prop_parse(p, a->name + strlen(ANNOTATION), a->value, e) < 0)
			return err_in(e, "annotations[\"%.100s\"]", a->name);
	}
	return 0;
}

static void set_resources(struct cg_props *p, const struct oci_resources *r, bool v2)
{
	if (r->cpu)
		set_cpu(p, r->cpu, v2);
	if (r->memory)
		set_memory(p, r->memory, v2);
	if (r->pids && r->pids->limit.set)
		set_pids(p, r->pids->limit.value);
	if (r->block_io)
		set_io(p, r->block_io, v2);
	for (size_t i = 0; i < r->unified.n && v2; i++)
		set_unified(p, &r->unified.v[i]);
}

int cg_plan_properties(const struct oci_spec *spec, const char *id, const struct host *h, struct arena *a, struct cgroup_unit *unit,
		       struct err *e)
{
	const struct oci_resources *r = spec->linux_->resources;
	struct cg_props p = { .arena = a };
	bool v2 = h->cgroup_mode == CGROUP_MODE_V2;

	set_kind(&p, id, unit, v2);
	set_resources(&p, r, v2);
	/* A user's manager cannot filter devices. */
	if (!unit->user && set_devices(&p, &r->devices, e) < 0)
		return -e->code;
	if (set_annotations(&p, &spec->annotations, e) < 0)
		return -e->code;
	unit->properties = p.v;
	unit->n = p.n;
	return 0;
}

int cg_plan_unit_update(const struct cgroup_ref *ref, const struct oci_resources *update, struct arena *a,
			const struct cgroup_unit **out, struct err *e)
{
	struct cg_props p = { .arena = a };
	struct cgroup_unit *unit = arena_new(a, struct cgroup_unit);

	*out = NULL;
	if (!ref->scope)
		return 0;
	set_resources(&p, update, ref->mode == CGROUP_MODE_V2);
	if (update->devices.n && !cg_unit_is_users(ref) && set_devices(&p, &update->devices, e) < 0)
		return -e->code;
	*unit = (struct cgroup_unit){ .name = ref->scope, .user = cg_unit_is_users(ref), .properties = p.v, .n = p.n };
	*out = p.n ? unit : NULL;
	return 0;
}
