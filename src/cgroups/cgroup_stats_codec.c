/* What a cgroup has used, both directions: see base/codec.h. */
#include "cgroups/cgroup_stats.h"

#include <string.h>

#define DIGITS "0123456789"

static void u64s(struct codec *c, uint64_t *const v[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		codec_u64(c, v[i]);
}
#define U64S(c, ...) u64s(c, (uint64_t *const[]){ __VA_ARGS__ }, sizeof((uint64_t *const[]){ __VA_ARGS__ }) / sizeof(uint64_t *))

/* It is printed as it is, whoever wrote it: a number as JSON has them, "0.15". */
static void average(struct codec *c, const char **text)
{
	codec_text(c, text);
	size_t whole = strspn(*text, DIGITS), part = (*text)[whole] == '.' ? strspn(*text + whole + 1, DIGITS) : 0;

	codec_check(c, whole && part && !(*text)[whole + 1 + part] && (whole == 1 || **text != '0'));
}

static void psi_line(struct codec *c, struct cgroup_psi_line *l)
{
	average(c, &l->avg10);
	average(c, &l->avg60);
	average(c, &l->avg300);
	codec_u64(c, &l->total);
}

static void psi(struct codec *c, struct cgroup_psi *p)
{
	codec_bool(c, &p->set);
	if (!p->set || c->bad)
		return;
	psi_line(c, &p->some);
	psi_line(c, &p->full);
}

static void one_number(struct codec *c, void *element)
{
	codec_u64(c, element);
}

static void numbers(struct codec *c, struct cgroup_numbers *n)
{
	codec_list(c, &n->v, &n->n, sizeof(*n->v), one_number);
}

static void named(struct codec *c, void *element)
{
	struct cgroup_named *n = element;

	codec_text(c, &n->name);
	codec_u64(c, &n->value);
}

static void counter(struct codec *c, struct cgroup_counter *n)
{
	U64S(c, &n->limit, &n->usage, &n->max, &n->failcnt);
}

static void blk_entry(struct codec *c, void *element)
{
	struct cgroup_blk_entry *b = element;

	U64S(c, &b->major, &b->minor, &b->value);
	codec_str(c, &b->op);
}

static void hugetlb(struct codec *c, void *element)
{
	struct cgroup_hugetlb_stats *h = element;

	codec_text(c, &h->size);
	U64S(c, &h->usage, &h->max, &h->failcnt);
}

static void cpu(struct codec *c, struct cgroup_cpu_stats *s)
{
	U64S(c, &s->total, &s->user, &s->kernel, &s->periods, &s->throttled_periods, &s->throttled_time);
	numbers(c, &s->percpu);
	numbers(c, &s->percpu_kernel);
	numbers(c, &s->percpu_user);
	psi(c, &s->psi);
}

static void cpuset(struct codec *c, struct cgroup_cpuset_stats *s)
{
	numbers(c, &s->cpus);
	numbers(c, &s->mems);
	U64S(c, &s->cpu_exclusive, &s->mem_hardwall, &s->mem_exclusive, &s->memory_migrate, &s->memory_spread_page,
	     &s->memory_spread_slab, &s->memory_pressure, &s->sched_load_balance);
	codec_i64(c, &s->sched_relax_domain_level);
}

static void memory(struct codec *c, struct cgroup_memory_stats *s)
{
	codec_u64(c, &s->cache);
	counter(c, &s->usage);
	counter(c, &s->swap);
	counter(c, &s->kernel);
	counter(c, &s->kernel_tcp);
	codec_list(c, &s->raw, &s->n_raw, sizeof(*s->raw), named);
	psi(c, &s->psi);
}

static void blkio(struct codec *c, struct cgroup_blkio_stats *s)
{
	struct cgroup_blk_list *const lists[] = { &s->service_bytes, &s->serviced, &s->queued, &s->service_time,
						  &s->wait_time,     &s->merged,   &s->time,   &s->sectors };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		codec_list(c, &lists[i]->v, &lists[i]->n, sizeof(*lists[i]->v), blk_entry);
	psi(c, &s->psi);
}

void codec_stats(struct codec *c, struct cgroup_stats *s)
{
	cpu(c, &s->cpu);
	cpuset(c, &s->cpuset);
	memory(c, &s->memory);
	codec_u64(c, &s->pids_current);
	codec_u64(c, &s->pids_limit);
	blkio(c, &s->blkio);
	codec_list(c, &s->hugetlb, &s->n_hugetlb, sizeof(*s->hugetlb), hugetlb);
}
