/* caps.c - capability sets as bit masks
 *
 * Theory of operation: names become masks at plan time and never return to be names but in messages. What is unknown or what we do
 * not have to give is warned of and left out, as container engines list capabilities of kernels newer than ours; the sets are then
 * made consistent by the kernel's own rules (effective within permitted, inheritable within bounding, ambient within permitted and
 * inheritable), so that applying them cannot fail half-way. The kernel is spoken to by capset(2) and prctl(2) themselves.
 */
#include "base/log.h"
#include "base/str.h"
#include "security/internal.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const cap_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};
#define CAP_NAMES (sizeof(cap_names) / sizeof(cap_names[0]))

int cap_from_name(const char *name)
{
	const char *bare = str_starts(name, "CAP_") || strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;

	for (size_t i = 0; i < CAP_NAMES; i++)
		if (cap_names[i][4] == bare[0] && !strcmp(cap_names[i] + 4, bare)) /* most differ at once */
			return (int)i;
	for (size_t i = 0; i < CAP_NAMES; i++)
		if (strcasecmp(cap_names[i] + 4, bare) == 0)
			return (int)i;
	return -1;
}

const char *cap_name(unsigned number)
{
	return number < CAP_NAMES ? cap_names[number] : NULL;
}

static bool has_name(const struct strs *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcasecmp(set->v[i], name) == 0)
			return true;
	return false;
}

/* Engines mostly send the same list several times. */
static bool same_names(const struct strs *a, const struct strs *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && str_eq(a->v[i], b->v[i]))
		i++;
	return i == a->n && i == b->n;
}

/* The known capabilities of a set. An unknown name that `before`, whose mask is given, also has was warned of there. */
static uint64_t parse_set(const struct strs *set, const struct strs *before, uint64_t before_mask, const char *which)
{
	uint64_t mask = 0;

	if (before && same_names(set, before))
		return before_mask;
	for (size_t i = 0; i < set->n; i++) {
		int n = cap_from_name(set->v[i]);

		if (n >= 0)
			mask |= 1ull << n;
		else if (!before || !has_name(before, set->v[i]))
			log_warn("process.capabilities.%s: unknown capability \"%.40s\" ignored", which, set->v[i]);
	}
	return mask;
}

static void log_each(enum log_level level, uint64_t mask, const char *where, const char *why)
{
	for (unsigned i = 0; mask >> i != 0 && i < CAP_NAMES; i++)
		if (mask >> i & 1)
			log_put(level, "%s: %s %s, ignored", where, cap_names[i], why);
}

static void clip(uint64_t *set, uint64_t within, enum log_level level, const char *where, const char *why)
{
	log_each(level, *set & ~within, where, why);
	*set &= within;
}

void caps_plan(const struct oci_caps *c, const struct sec_options *o, const struct host *h, struct sec_caps *out)
{
	static const struct oci_caps none;

	*out = (struct sec_caps){ 0 };
	if (!c)
		c = &none;
	out->bounding = parse_set(&c->bounding, NULL, 0, "bounding");
	out->permitted = parse_set(&c->permitted, &c->bounding, out->bounding, "permitted");
	out->effective = parse_set(&c->effective, &c->permitted, out->permitted, "effective");
	out->inheritable = parse_set(&c->inheritable, &c->permitted, out->permitted, "inheritable");
	out->ambient = parse_set(&c->ambient, &c->permitted, out->permitted, "ambient");

	/* A new user namespace begins with every capability the kernel knows. Outside of one we can only hand down our own. */
	out->last = h->cap_last < 63 ? h->cap_last : 63;
	uint64_t known = h->cap_last >= 63 ? UINT64_MAX : (2ull << h->cap_last) - 1;
	uint64_t bounding = o->user_ns ? known : known & h->caps_bounding;
	uint64_t held = o->user_ns ? known : bounding & h->caps_permitted;
	uint64_t asked = out->permitted | out->effective | out->inheritable | out->ambient;

	log_each(LOG_LEVEL_WARNING, (out->bounding & ~bounding) | (asked & ~held), "process.capabilities",
		 "cannot be granted here");
	out->bounding &= bounding;
	out->permitted &= held;
	out->effective &= held;
	out->inheritable &= held;
	out->ambient &= held;
	clip(&out->effective, out->permitted, LOG_LEVEL_WARNING, "process.capabilities.effective", "is not permitted");
	clip(&out->inheritable, out->bounding, LOG_LEVEL_WARNING, "process.capabilities.inheritable", "is not in the bounding set");
	/* buildah asks so for each RUN: everything ambient, nothing inheritable. */
	clip(&out->ambient, out->permitted & out->inheritable, LOG_LEVEL_INFO, "process.capabilities.ambient",
	     "is not permitted and inheritable");
}

int caps_drop_bounding(const struct sec_caps *c, struct err *e)
{
	for (unsigned i = 0; i <= (c->last ? c->last : 63); i++) {
		if (c->bounding >> i & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, (unsigned long)i, 0ul, 0ul, 0ul) == 0)
			continue;
		if (errno == EINVAL)
			break; /* beyond the kernel's last */
		/* It takes CAP_SETPCAP to drop what is there; without it, what is not there is as good. */
		int has = errno == EPERM ? prctl(PR_CAPBSET_READ, (unsigned long)i, 0ul, 0ul, 0ul) : 1;

		if (has < 0 && errno == EINVAL)
			break;
		if (has)
			return err_set(e, EPERM, "capability %u cannot be dropped from the bounding set", i);
	}
	return 0;
}

int caps_keep(bool keep, struct err *e)
{
	if (prctl(PR_SET_KEEPCAPS, (unsigned long)keep, 0ul, 0ul, 0ul) < 0)
		return err_errno(e, "prctl(PR_SET_KEEPCAPS, %d)", keep);
	return 0;
}

int caps_set(const struct sec_caps *c, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (uint32_t)(c->effective >> (32 * i)),
			.permitted = (uint32_t)(c->permitted >> (32 * i)),
			.inheritable = (uint32_t)(c->inheritable >> (32 * i)),
		};
	if (syscall(SYS_capset, &head, data) < 0)
		return err_errno(e, "setting the process capabilities");
	return 0;
}

int caps_set_ambient(const struct sec_caps *c, struct err *e)
{
	/* capset(2) has taken from it what is not both permitted and inheritable. */
	if (!(c->permitted & c->inheritable))
		return 0;
	if (prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_CLEAR_ALL, 0ul, 0ul, 0ul) < 0)
		return err_errno(e, "clearing the ambient capabilities");
	for (unsigned i = 0; i < 64; i++)
		if (c->ambient >> i & 1 &&
		    prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_RAISE, (unsigned long)i, 0ul, 0ul) < 0)
			return err_errno(e, "raising ambient capability %u", i);
	return 0;
}
