/* Device rules, of which the last match wins, as a default and exceptions to it.
 *
 * A rule that differs from the default is an exception; one that agrees takes what it covers out of the exceptions before it. Where
 * it covers only a part of one, the result is no such list: the v1 controller cannot have it. One relief: mknod of a denied device
 * stays possible where only our default for mknod allows it, because a node alone opens nothing.
 *
 * There may be a hundred thousand rules, so nothing is searched for. The number of a rule is its time. Each device of a rule, "any"
 * included, has a slot in a hash table, which knows when it was last cut, and its exception; the exception knows when it was given,
 * all for each kind of access. What is left of an exception is what was given after the last cut of any of the four devices that
 * cover it. Exceptions that a rule may touch without one covering the other ("any:5" and "8:any") are kept in stacks, out of which
 * those without anything left are dropped when they are met.
 */
#include "cgroups/cgroup_internal.h"

#include <errno.h>
#include <string.h>

#define KINDS 3 /* of access: CG_DEV_MKNOD, CG_DEV_READ, CG_DEV_WRITE are bits 0 to 2 */

struct slot {
	char type; /* 0: empty */
	int64_t major, minor;
	size_t exception; /* 1 and more: the number of its last one; 0: it never had one */
	size_t cut[KINDS];
};

struct stack {
	size_t *v, n; /* numbers of exceptions */
};

struct reduction {
	struct slot *slots;
	size_t mask;
	struct cg_dev_rule *x; /* from 1 on, those of which nothing is left too */
	size_t (*given)[KINDS], n, now;
	struct stack any_major[2][KINDS], any_minor[2][KINDS]; /* by type */
};

static int type_index(char type)
{
	return type == 'b';
}

/* The slot of the device, or the empty one where it would be. */
static struct slot *slot_of(const struct reduction *r, char type, int64_t major, int64_t minor)
{
	uint64_t h = ((uint64_t)major << 32 ^ (uint64_t)minor) + (uint64_t)type;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
	h = (h ^ h >> 27) * 0x94d049bb133111eb;
	for (size_t i = (size_t)(h ^ h >> 31);; i++) {
		struct slot *s = &r->slots[i & r->mask];

		if (!s->type || (s->type == type && s->major == major && s->minor == minor))
			return s;
	}
}

static struct slot *take_slot(struct reduction *r, const struct cg_dev_rule *rule)
{
	struct slot *s = slot_of(r, rule->type, rule->major, rule->minor);

	s->type = rule->type;
	s->major = rule->major;
	s->minor = rule->minor;
	return s;
}

/* Of the four devices that cover this one, itself first; NULL where that is one of the others or no rule named it. */
static struct slot *covering(const struct reduction *r, const struct cg_dev_rule *d, int which)
{
	if ((which & 1 && d->major == -1) || (which & 2 && d->minor == -1))
		return NULL;
	struct slot *s = slot_of(r, d->type, which & 1 ? -1 : d->major, which & 2 ? -1 : d->minor);

	return s->type ? s : NULL;
}

/* What is left of an exception. */
static uint8_t left_of(const struct reduction *r, size_t exception)
{
	uint8_t access = 0;

	for (unsigned kind = 0; kind < KINDS; kind++)
		access |= r->given[exception][kind] ? (uint8_t)(1 << kind) : 0;
	for (int which = 0; which < 4; which++) {
		const struct slot *s = covering(r, &r->x[exception], which);

		for (unsigned kind = 0; s && kind < KINDS; kind++)
			if (s->cut[kind] > r->given[exception][kind])
				access &= (uint8_t) ~(1 << kind);
	}
	return access;
}

static void give(struct reduction *r, const struct cg_dev_rule *rule)
{
	struct slot *s = take_slot(r, rule);
	struct stack *crossing = rule->major == -1 ? r->any_major[type_index(rule->type)] : r->any_minor[type_index(rule->type)];

	if (s->exception && left_of(r, s->exception)) {
		r->x[s->exception].ours &= rule->ours;
	} else {
		s->exception = ++r->n;
		r->x[r->n] = *rule;
	}
	for (unsigned kind = 0; kind < KINDS; kind++) {
		if (!(rule->access & 1 << kind))
			continue;
		r->given[s->exception][kind] = r->now;
		if ((rule->major == -1) != (rule->minor == -1))
			crossing[kind].v[crossing[kind].n++] = s->exception;
	}
}

/* The exception is touched by a rule that does not cover it. */
static bool may_be_touched(const struct reduction *r, size_t exception, uint8_t access)
{
	uint8_t left = left_of(r, exception);

	return !(left & access) || (r->x[exception].ours && left == CG_DEV_MKNOD);
}

static bool may_touch_stack(const struct reduction *r, struct stack *s, uint8_t access)
{
	size_t kept = 0, n = s->n;

	for (size_t i = 0; i < n; i++) {
		if (!may_be_touched(r, s->v[i], access))
			return false;
		if (left_of(r, s->v[i]) & access)
			s->v[kept++] = s->v[i];
	}
	s->n = kept;
	return true;
}

static bool may_cut(struct reduction *r, const struct cg_dev_rule *rule)
{
	int type = type_index(rule->type);

	for (int which = 1; which < 4; which++) {
		const struct slot *s = covering(r, rule, which);

		if (s && s->exception && !may_be_touched(r, s->exception, rule->access))
			return false;
	}
	if ((rule->major == -1) == (rule->minor == -1))
		return true;
	struct stack *crossing = rule->major == -1 ? r->any_minor[type] : r->any_major[type];

	for (unsigned kind = 0; kind < KINDS; kind++)
		if (rule->access & 1 << kind && !may_touch_stack(r, &crossing[kind], (uint8_t)(1 << kind)))
			return false;
	return true;
}

static void cut(struct reduction *r, const struct cg_dev_rule *rule)
{
	struct slot *s = take_slot(r, rule);

	for (unsigned kind = 0; kind < KINDS; kind++)
		if (rule->access & 1 << kind)
			s->cut[kind] = r->now;
}

static void init_reduction(struct reduction *r, const struct cg_dev_rules *rules, struct arena *a)
{
	size_t room = 16;

	while (room < 2 * rules->n)
		room *= 2;
	*r = (struct reduction){ .mask = room - 1 };
	r->slots = arena_alloc(a, room * sizeof(*r->slots));
	r->x = arena_alloc(a, (rules->n + 1) * sizeof(*r->x));
	r->given = arena_alloc(a, (rules->n + 1) * sizeof(*r->given));
	for (int type = 0; type < 2; type++) {
		for (int kind = 0; kind < KINDS; kind++) {
			r->any_major[type][kind].v = arena_alloc(a, (rules->n + 1) * sizeof(size_t));
			r->any_minor[type][kind].v = arena_alloc(a, (rules->n + 1) * sizeof(size_t));
		}
	}
}

static int reduce(const struct cg_dev_rules *rules, bool exactly, struct arena *a, struct cg_dev_rules *out, struct err *e)
{
	struct reduction r;

	*out = (struct cg_dev_rules){ 0 };
	if (!rules->n)
		return 0;
	init_reduction(&r, rules, a);
	for (size_t i = 1; i < rules->n; i++) {
		const struct cg_dev_rule *rule = &rules->v[i];

		r.now = i;
		if (rule->allow != rules->v[0].allow)
			give(&r, rule);
		else if (exactly && !may_cut(&r, rule))
			return err_set(e, ENOTSUP,
				       "linux.resources.devices[%zu]: the cgroup v1 devices controller cannot take a part out of a "
				       "wider rule",
				       rule->index);
		else
			cut(&r, rule);
	}
	out->v = r.x + 1;
	for (size_t i = 1; i <= r.n; i++) {
		r.x[i].access = left_of(&r, i);
		if (r.x[i].access)
			out->v[out->n++] = r.x[i];
	}
	return 0;
}

int cg_device_exceptions(const struct cg_dev_rules *rules, struct arena *a, bool *by_default, struct cg_dev_rules *out,
			 struct err *e)
{
	struct cg_dev_rules x;

	if (reduce(rules, true, a, &x, e) < 0)
		return -e->code;
	*by_default = rules->n == 0 || rules->v[0].allow;
	*out = x;
	return 0;
}

void cg_devices_left(const struct cg_dev_rules *rules, struct arena *a, struct cg_dev_rules *out)
{
	struct err never;

	(void)!reduce(rules, false, a, out, &never);
}
