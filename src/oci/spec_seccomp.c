/* The `linux.seccomp` object. Everything unknown in a filter is refused: skipping it would loosen the filter. */
#include "oci/shapes.h"
#include "oci/spec.h"

#include <errno.h>
#include <string.h>

/* An errno value may go with an action that has room for one, and must fit it. */
static int check_errno(struct checker *c, const char *member, const struct opt_u64 *n, int action)
{
	if (!n->set)
		return 0;
	if (action != OCI_ACT_ERRNO && action != OCI_ACT_TRACE)
		return check_fail(c, member, -1, "%s returns no errno", oci_action_names[action]);
	if (n->value > (action == OCI_ACT_ERRNO ? 4095 : UINT16_MAX))
		return check_fail(c, member, -1, "%llu is too large", (unsigned long long)n->value);
	return 0;
}

static int check_syscall_arg(void *object, struct checker *c)
{
	const struct oci_syscall_arg *a = object;

	if (a->index > 5)
		return check_fail(c, "index", -1, "%u is out of range, 0 to 5", a->index);
	return 0;
}

/* The listener's descriptor is handed over by a write(2) of the filtered process itself. */
static int check_syscall(void *object, struct checker *c)
{
	const struct oci_syscall *s = object;
	int r = check_errno(c, "errnoRet", &s->errno_ret, s->action);

	for (size_t i = 0; s->action == OCI_ACT_NOTIFY && i < s->names.n; i++)
		if (!strcmp(s->names.v[i], "write"))
			r |= check_fail(c, "names", (long)i,
					"SCMP_ACT_NOTIFY for write would block the container's start for ever");
	return r;
}

static int check_listener(const struct oci_seccomp *s, struct checker *c)
{
	if (s->listener_path) /* without NOTIFY it is ignored, says the specification */
		return 0;
	if (s->listener_metadata)
		return check_fail(c, "listenerMetadata", -1, "needs a listenerPath");
	for (size_t i = 0; i < s->syscalls.n; i++)
		if (s->syscalls.v[i].action == OCI_ACT_NOTIFY)
			return check_fail(c, "syscalls", (long)i, "SCMP_ACT_NOTIFY needs a listenerPath");
	return 0;
}

/* Go programs write no filter as {"defaultAction": ""}. */
static int check_seccomp(void *object, struct checker *c)
{
	struct oci_seccomp *s = object;
	int r = 0;

	s->flags_set = s->flags.v != NULL;
	if (!check_has(c, "defaultAction")) {
		s->disabled = s->syscalls.n == 0;
		return s->disabled ? 0 : check_fail(c, NULL, -1, "member \"defaultAction\" is required");
	}
	if (s->default_action == OCI_ACT_NOTIFY)
		r |= check_fail(c, "defaultAction", -1, "SCMP_ACT_NOTIFY cannot be the default");
	return r | check_errno(c, "defaultErrnoRet", &s->default_errno_ret, s->default_action) | check_listener(s, c);
}

/* ---- tables ---- */
/* clang-format off */

NAMES(action_names, [OCI_ACT_KILL] = "SCMP_ACT_KILL", [OCI_ACT_KILL_PROCESS] = "SCMP_ACT_KILL_PROCESS",
      [OCI_ACT_KILL_THREAD] = "SCMP_ACT_KILL_THREAD", [OCI_ACT_TRAP] = "SCMP_ACT_TRAP", [OCI_ACT_ERRNO] = "SCMP_ACT_ERRNO",
      [OCI_ACT_TRACE] = "SCMP_ACT_TRACE", [OCI_ACT_ALLOW] = "SCMP_ACT_ALLOW", [OCI_ACT_LOG] = "SCMP_ACT_LOG",
      [OCI_ACT_NOTIFY] = "SCMP_ACT_NOTIFY");
NAMES(cmp_names, [OCI_CMP_NE] = "SCMP_CMP_NE", [OCI_CMP_LT] = "SCMP_CMP_LT", [OCI_CMP_LE] = "SCMP_CMP_LE",
      [OCI_CMP_EQ] = "SCMP_CMP_EQ", [OCI_CMP_GE] = "SCMP_CMP_GE", [OCI_CMP_GT] = "SCMP_CMP_GT",
      [OCI_CMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ");
NAMES(arch_names, "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64",
      "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
      "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390",
      "SCMP_ARCH_S390X", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64");
NAMES(seccomp_flag_names, "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
      "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");

SHAPE(oci_syscall_arg, check_syscall_arg,
	F_U32(struct oci_syscall_arg, index, "index", REQUIRED),
	F_U64(struct oci_syscall_arg, value, "value", REQUIRED),
	F_U64(struct oci_syscall_arg, value_two, "valueTwo", 0),
	F_ENUM(struct oci_syscall_arg, op, "op", REQUIRED, &cmp_names));

SHAPE(oci_syscall, check_syscall,
	F_STRS(struct oci_syscall, names, "names", REQUIRED | NONEMPTY),
	F_ENUM(struct oci_syscall, action, "action", REQUIRED, &action_names),
	F_OU32(struct oci_syscall, errno_ret, "errnoRet"),
	F_OBJS(struct oci_syscall, args, "args", 0, oci_syscall_arg));

SHARED_SHAPE(oci_seccomp, check_seccomp,
	F_ENUM(struct oci_seccomp, default_action, "defaultAction", 0, &action_names),
	F_OU32(struct oci_seccomp, default_errno_ret, "defaultErrnoRet"),
	F_WORDS(struct oci_seccomp, architectures, "architectures", 0, &arch_names),
	F_WORDS(struct oci_seccomp, flags, "flags", 0, &seccomp_flag_names),
	F_STR(struct oci_seccomp, listener_path, "listenerPath", EMPTY_NONE),
	F_STR(struct oci_seccomp, listener_metadata, "listenerMetadata", EMPTY_NONE),
	F_OBJS(struct oci_seccomp, syscalls, "syscalls", 0, oci_syscall));

/* clang-format on */
