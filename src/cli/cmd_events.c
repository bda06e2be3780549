/* events: a line of JSON for each. Names and nesting are those that callers know from other runtimes. */
#include "base/cleanup.h"
#include "cli/cli.h"

#include <errno.h>

#define INTERVAL_MS 5000

struct events_flags {
	const char *interval;
	bool stats;
};

OPT_TABLE(events_table, struct events_flags,
	  OPT_STR(struct events_flags, interval, "interval", NULL, "TIME", "time between two statistics (5s)"),
	  OPT_BOOL(struct events_flags, stats, "stats", NULL, "statistics once, at once"));

static void put_psi_line(struct json_writer *w, const char *key, const struct cgroup_psi_line *l)
{
	json_open(w, key, '{');
	json_raw(w, "avg10", l->avg10);
	json_raw(w, "avg60", l->avg60);
	json_raw(w, "avg300", l->avg300);
	json_u64(w, "total", l->total);
	json_close(w, '}');
}

static void put_psi(struct json_writer *w, const struct cgroup_psi *p)
{
	if (!p->set)
		return;
	json_open(w, "psi", '{');
	put_psi_line(w, "some", &p->some);
	put_psi_line(w, "full", &p->full);
	json_close(w, '}');
}

static void put_numbers(struct json_writer *w, const char *key, const struct cgroup_numbers *l)
{
	if (!l->n)
		return;
	json_open(w, key, '[');
	for (size_t i = 0; i < l->n; i++)
		json_u64(w, NULL, l->v[i]);
	json_close(w, ']');
}

static void put_cpu(struct json_writer *w, const struct cgroup_cpu_stats *s)
{
	json_open(w, "cpu", '{');
	json_open(w, "usage", '{');
	json_u64(w, "total", s->total);
	put_numbers(w, "percpu", &s->percpu);
	put_numbers(w, "percpu_kernel", &s->percpu_kernel);
	put_numbers(w, "percpu_user", &s->percpu_user);
	json_u64(w, "kernel", s->kernel);
	json_u64(w, "user", s->user);
	json_close(w, '}');
	json_open(w, "throttling", '{');
	json_u64(w, "periods", s->periods);
	json_u64(w, "throttledPeriods", s->throttled_periods);
	json_u64(w, "throttledTime", s->throttled_time);
	json_close(w, '}');
	put_psi(w, &s->psi);
	json_close(w, '}');
}

static void put_cpuset(struct json_writer *w, const struct cgroup_cpuset_stats *s)
{
	json_open(w, "cpuset", '{');
	put_numbers(w, "cpus", &s->cpus);
	json_u64(w, "cpu_exclusive", s->cpu_exclusive);
	put_numbers(w, "mems", &s->mems);
	json_u64(w, "mem_hardwall", s->mem_hardwall);
	json_u64(w, "mem_exclusive", s->mem_exclusive);
	json_u64(w, "memory_migrate", s->memory_migrate);
	json_u64(w, "memory_spread_page", s->memory_spread_page);
	json_u64(w, "memory_spread_slab", s->memory_spread_slab);
	json_u64(w, "memory_pressure", s->memory_pressure);
	json_u64(w, "sched_load_balance", s->sched_load_balance);
	json_i64(w, "sched_relax_domain_level", s->sched_relax_domain_level);
	json_close(w, '}');
}

static void put_counter(struct json_writer *w, const char *key, const struct cgroup_counter *s)
{
	json_open(w, key, '{');
	json_u64(w, "limit", s->limit);
	json_u64(w, "usage", s->usage);
	json_u64(w, "max", s->max);
	json_u64(w, "failcnt", s->failcnt);
	json_close(w, '}');
}

static void put_memory(struct json_writer *w, const struct cgroup_memory_stats *s)
{
	json_open(w, "memory", '{');
	json_u64(w, "cache", s->cache);
	put_counter(w, "usage", &s->usage);
	put_counter(w, "swap", &s->swap);
	put_counter(w, "kernel", &s->kernel);
	put_counter(w, "kernelTCP", &s->kernel_tcp);
	json_open(w, "raw", '{');
	for (size_t i = 0; i < s->n_raw; i++)
		json_u64(w, s->raw[i].name, s->raw[i].value);
	json_close(w, '}');
	put_psi(w, &s->psi);
	json_close(w, '}');
}

static void put_blk(struct json_writer *w, const char *key, const struct cgroup_blk_list *l)
{
	if (!l->n)
		return;
	json_open(w, key, '[');
	for (size_t i = 0; i < l->n; i++) {
		json_open(w, NULL, '{');
		json_u64(w, "major", l->v[i].major);
		json_u64(w, "minor", l->v[i].minor);
		if (*l->v[i].op)
			json_str(w, "op", l->v[i].op);
		json_u64(w, "value", l->v[i].value);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void put_blkio(struct json_writer *w, const struct cgroup_blkio_stats *s)
{
	json_open(w, "blkio", '{');
	put_blk(w, "ioServiceBytesRecursive", &s->service_bytes);
	put_blk(w, "ioServicedRecursive", &s->serviced);
	put_blk(w, "ioQueueRecursive", &s->queued);
	put_blk(w, "ioServiceTimeRecursive", &s->service_time);
	put_blk(w, "ioWaitTimeRecursive", &s->wait_time);
	put_blk(w, "ioMergedRecursive", &s->merged);
	put_blk(w, "ioTimeRecursive", &s->time);
	put_blk(w, "sectorsRecursive", &s->sectors);
	put_psi(w, &s->psi);
	json_close(w, '}');
}

static void put_hugetlb(struct json_writer *w, const struct cgroup_stats *s)
{
	json_open(w, "hugetlb", '{');
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		json_open(w, s->hugetlb[i].size, '{');
		json_u64(w, "usage", s->hugetlb[i].usage);
		json_u64(w, "max", s->hugetlb[i].max);
		json_u64(w, "failcnt", s->hugetlb[i].failcnt);
		json_close(w, '}');
	}
	json_close(w, '}');
}

static void put_given(struct json_writer *w, const char *key, uint64_t value)
{
	if (value)
		json_u64(w, key, value);
}

static void put_line(struct json_writer *w, const char *key, const char *line)
{
	if (line)
		json_str(w, key, line);
}

static void put_rdt_counters(struct json_writer *w, const struct resctrl_stats *s)
{
	if (s->n_traffic)
		json_open(w, "mbm_stats", '[');
	for (size_t i = 0; i < s->n_traffic; i++) {
		json_open(w, NULL, '{');
		json_u64(w, "mbm_total_bytes", s->traffic[i].total);
		json_u64(w, "mbm_local_bytes", s->traffic[i].local);
		json_close(w, '}');
	}
	if (s->n_traffic)
		json_close(w, ']');
	if (s->n_occupancy)
		json_open(w, "cmt_stats", '[');
	for (size_t i = 0; i < s->n_occupancy; i++) {
		json_open(w, NULL, '{');
		json_u64(w, "llc_occupancy", s->occupancy[i]);
		json_close(w, '}');
	}
	if (s->n_occupancy)
		json_close(w, ']');
}

static void put_rdt(struct json_writer *w, const struct resctrl_stats *s)
{
	json_open(w, "intel_rdt", '{');
	if (s->l3_mask) {
		json_open(w, "l3_cache_info", '{');
		json_str(w, "cbm_mask", s->l3_mask);
		put_given(w, "min_cbm_bits", s->l3_min_bits);
		put_given(w, "num_closids", s->l3_classes);
		json_close(w, '}');
	}
	put_line(w, "l3_cache_schema_root", s->l3_root);
	put_line(w, "l3_cache_schema", s->l3);
	if (s->mb_classes) {
		json_open(w, "mem_bw_info", '{');
		put_given(w, "bandwidth_gran", s->mb_gran);
		put_given(w, "delay_linear", s->mb_linear);
		put_given(w, "min_bandwidth", s->mb_min);
		put_given(w, "num_closids", s->mb_classes);
		json_close(w, '}');
	}
	put_line(w, "mem_bw_schema_root", s->mb_root);
	put_line(w, "mem_bw_schema", s->mb);
	put_rdt_counters(w, s);
	json_close(w, '}');
}

/* Capitals, since Go's default names became what callers read. */
static void put_network(struct json_writer *w, const struct container_stats *s)
{
	json_open(w, "network_interfaces", '[');
	for (size_t i = 0; i < s->n_net; i++) {
		const struct net_interface *n = &s->net[i];

		json_open(w, NULL, '{');
		json_str(w, "Name", n->name);
		json_u64(w, "RxBytes", n->rx_bytes);
		json_u64(w, "RxPackets", n->rx_packets);
		json_u64(w, "RxErrors", n->rx_errors);
		json_u64(w, "RxDropped", n->rx_dropped);
		json_u64(w, "TxBytes", n->tx_bytes);
		json_u64(w, "TxPackets", n->tx_packets);
		json_u64(w, "TxErrors", n->tx_errors);
		json_u64(w, "TxDropped", n->tx_dropped);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void put_stats(struct json_writer *w, const struct container_stats *s)
{
	json_open(w, "data", '{');
	put_cpu(w, &s->cgroup.cpu);
	put_cpuset(w, &s->cgroup.cpuset);
	put_memory(w, &s->cgroup.memory);
	json_open(w, "pids", '{');
	json_u64(w, "current", s->cgroup.pids_current);
	json_u64(w, "limit", s->cgroup.pids_limit);
	json_close(w, '}');
	put_blkio(w, &s->cgroup.blkio);
	put_hugetlb(w, &s->cgroup);
	put_rdt(w, &s->groups);
	put_network(w, s);
	if (s->machine) {
		json_open(w, "vm", '{');
		put_cpu(w, &s->machine->cpu);
		put_memory(w, &s->machine->memory);
		json_close(w, '}');
	}
	json_close(w, '}');
}

void event_json(const struct container_event *event, struct strbuf *out)
{
	struct json_writer w;

	json_begin(&w, out, 0);
	json_open(&w, NULL, '{');
	json_str(&w, "type", event->kind == CONTAINER_EVENT_OOM ? "oom" : "stats");
	json_str(&w, "id", event->id);
	if (event->kind == CONTAINER_EVENT_STATS)
		put_stats(&w, event->stats);
	json_close(&w, '}');
	strbuf_puts(out, "\n");
}

static int print_event(void *ctx, const struct container_event *event, struct err *e)
{
	auto_arena struct arena a = { 0 }; /* the stream may last for days */
	struct strbuf out = STRBUF(&a);

	event_json(event, &out);
	return cli_print(ctx, &out, e);
}

static int print_stats(struct cli *c, const char *id, struct err *e)
{
	struct container_stats stats;
	int r = container_stats(&c->rt, id, c->arena, &stats, e);

	return r < 0 ? r : print_event(c, &(struct container_event){ CONTAINER_EVENT_STATS, id, &stats }, e);
}

static int run_events(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	const struct events_flags *f = opts;
	struct event_listener listener = { .on_event = print_event, .ctx = c };
	int64_t interval = INTERVAL_MS;
	int r = 0;

	if (f->interval && opt_duration(f->interval, &interval, e) < 0)
		return err_in(e, "--interval");
	if (interval <= 0)
		return err_set(e, EINVAL, "--interval: must be greater than 0");
	if (!f->stats)
		return container_events(&c->rt, (const char *const *)rest->args, rest->n, interval, &listener, e);
	for (size_t i = 0; r == 0 && i < rest->n; i++)
		r = print_stats(c, rest->args[i], e);
	return r;
}

const struct command cmd_events = {
	.name = "events",
	.operands = "CONTAINER...",
	.brief = "print what they use",
	.help = "Prints what containers use, and when they run out of memory, as a line of JSON\neach, until the last of them has "
		"ended.",
	.example = "events --interval 1m web db",
	.opts = &events_table,
	.min = 1,
	.max = OPERANDS_ANY,
	.run = run_events,
};
