/* cmdline.c - what a kernel needs to be told where there is no firmware to ask */
#include "hwvirt-sandbox/x86/cmdline.h"

#include "hwvirt-sandbox/x86/layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* reboot=t: a reset is a triple fault, which ends the machine at once. panic=-1: so is a panic. The rest saves probing for what is
 * not there, and time. */
#define ALWAYS                                                                                                                     \
	"reboot=t panic=-1 no_timer_check tsc=reliable nomodule no-kvmapf cryptomgr.notests rcupdate.rcu_expedited=1 "             \
	"random.trust_cpu=on i8042.noaux i8042.nokbd"

struct text {
	char *at;
	size_t left;
	bool full;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->left) {
		t->full = true;
		return;
	}
	t->at += n;
	t->left -= (size_t)n;
}

static bool printable(const char *s)
{
	for (; *s; s++) {
		if (*s < ' ' || *s > '~')
			return false;
	}
	return true;
}

int cmdline_write(const struct cmdline_plan *p, char *out, size_t size, struct err *e)
{
	struct text t = { .at = out, .left = size };

	if (p->more && !printable(p->more))
		return err_set(e, EINVAL, "kernel command line: a byte that is not printable ASCII");
	add(&t, "%s %s", ALWAYS, p->serial ? "console=ttyS0 8250.nr_uarts=1" : "quiet 8250.nr_uarts=0");
	for (unsigned i = 0; i < p->n_devices; i++)
		add(&t, " virtio_mmio.device=4K@0x%llx:%u", X86_MMIO_BASE + i * X86_MMIO_SIZE, X86_MMIO_IRQ + i);
	if (p->more && *p->more)
		add(&t, " %s", p->more);
	return t.full ? err_set(e, E2BIG, "kernel command line: longer than %zu bytes", size - 1) : 0;
}
