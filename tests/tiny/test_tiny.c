/* test_tiny.c - the virtual machine, on this machine's /dev/kvm, with guests of a few functions (guest.c)
 *
 * They run where KVM emulates, too: nothing here is more than a few thousand instructions.
 */
#include "../unit/tap.h"
#include "../unit/temp.h"
#include "base/cleanup.h"
#include "base/sys.h"
#include "hwvirt-sandbox/kvm/probe.h"
#include "hwvirt-sandbox/virtio/balloon.h"
#include "hwvirt-sandbox/virtio/console.h"
#include "hwvirt-sandbox/virtio/fs.h"
#include "hwvirt-sandbox/virtio/rng.h"
#include "hwvirt-sandbox/virtio/vsock.h"
#include "hwvirt-sandbox/vmm.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { MEM = 8 << 20, COUNTER = 0x300000 };

struct guest {
	struct vmm *v;
	struct virtio_rng rng;
	struct virtio_console console;
	struct virtio_balloon balloon;
	struct virtio_vsock vsock;
	struct virtio_fs fs;
	pid_t server;  /* of fs; 0: there is none */
	uint32_t port; /* that the guest asked for */
	int kvm_fd, kernel_fd, out_fd;
	struct vm_end end;
	struct err e;
};

static int refuse(void *arg, uint32_t port)
{
	struct guest *g = arg;

	g->port = port;
	return -ECONNREFUSED;
}

static _Noreturn void serve(struct guest *g, const struct virtio_fs_peer *peer, int share_fd)
{
	static const struct fuse_options o = { .cache = FUSE_CACHE_AUTO, .inodes_max = 100, .fds_max = 100, .files_max = 100 };

	close_fd(&g->fs.channel_fd);
	_exit(fs_serve(peer, vmm_memory(g->v), share_fd, &o, &g->e) < 0);
}

static bool add_share(struct guest *g)
{
	struct virtio_fs_peer peer;
	int share_fd = temp_dir();

	if (virtio_fs_init(&g->fs, vmm_memory(g->v), "share", 1, &peer, &g->e) < 0)
		return false;
	g->server = fork();
	if (g->server == 0)
		serve(g, &peer, share_fd);
	close_fd(&peer.channel_fd);
	return g->server > 0 && vmm_add(g->v, &g->fs.device, &g->e) == 0;
}

/* In the slots that guest.c knows. */
static bool add_devices(struct guest *g)
{
	const struct guest_mem *mem = vmm_memory(g->v);

	virtio_rng_init(&g->rng, mem);
	virtio_balloon_init(&g->balloon, mem);
	return virtio_console_init(&g->console, mem, g->out_fd, &g->e) == 0 &&
	       virtio_vsock_init(&g->vsock, mem, 3, refuse, g, &g->e) == 0 && vmm_add(g->v, &g->rng.device, &g->e) == 0 &&
	       vmm_add(g->v, &g->console.device, &g->e) == 0 && vmm_add(g->v, &g->balloon.device, &g->e) == 0 &&
	       vmm_add(g->v, &g->vsock.device, &g->e) == 0;
}

static bool start_with(struct guest *g, const char *image, const char *cmdline, unsigned n_cpus, bool share)
{
	struct vmm_config c = { .mem_size = MEM, .n_cpus = n_cpus, .initrd_fd = -EBADF, .cmdline = cmdline, .exit_port = true };
	const char *file = getenv(image);
	bool good = true;

	memset(g, 0, sizeof(*g));
	g->kvm_fd = c.kvm_fd = kvm_open(&g->e);
	g->kernel_fd = c.kernel_fd = open(file ? file : "", O_RDONLY | O_CLOEXEC);
	g->out_fd = c.serial_fd = sys_memfd_create("out", SYS_MFD_CLOEXEC);
	if (vmm_new(&c, &g->v, &g->e) < 0)
		good = false;
	if (good)
		good = add_devices(g) && (!share || add_share(g)) && vmm_start(g->v, &g->e) == 0;
	if (!good)
		printf("# %s\n", g->e.text);
	expect(good);
	return good;
}

static bool start(struct guest *g, const char *image, const char *cmdline, unsigned n_cpus)
{
	return start_with(g, image, cmdline, n_cpus, false);
}

/* What it said, cut to fit. */
static const char *said(const struct guest *g)
{
	static char text[8192];
	ssize_t n = pread(g->out_fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void finish(struct guest *g)
{
	vmm_free(g->v);
	if (g->console.device.ops)
		virtio_console_release(&g->console);
	if (g->vsock.device.ops)
		virtio_vsock_release(&g->vsock);
	if (g->server > 0) {
		int status = -1;

		virtio_fs_release(&g->fs);
		expect(waitpid(g->server, &status, 0) == g->server && status == 0);
	}
	close_fd(&g->out_fd);
	close_fd(&g->kernel_fd);
	close_fd(&g->kvm_fd);
}

/* Boots, waits, expects that end; status and output matter for VM_STATUS. */
static void expect_run(const char *image, const char *cmdline, unsigned n_cpus, enum vm_cause cause, int status, const char *output)
{
	struct guest g;

	if (start(&g, image, cmdline, n_cpus)) {
		vmm_wait(g.v, &g.end);
		if (g.end.cause != cause)
			printf("# %s\n", g.end.why);
		expect(g.end.cause == cause);
		expect(g.end.status == status);
		expect_str(said(&g), output);
	}
	finish(&g);
}

static void hello_by_ports(void)
{
	expect_run("TINY_GUEST", "case=hello", 1, VM_STATUS, 7, "hello\n");
}

static void registers_in_memory_are_answered(void)
{
	expect_run("TINY_GUEST", "case=mmio", 1, VM_STATUS, 0, "");
}

static void device_works_by_ioeventfd_and_irqfd(void)
{
	expect_run("TINY_GUEST", "case=rng", 1, VM_STATUS, 0, "");
}

static void hostile_rings_stop_the_device_until_reset(void)
{
	expect_run("TINY_GUEST", "case=hostile", 1, VM_STATUS, 0, "");
}

static void hostile_rings_stop_each_device_until_reset(void)
{
	struct guest g;

	if (start(&g, "TINY_GUEST", "case=circles", 1)) {
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STATUS && g.end.status == 0);
		expect_str(said(&g), "by the console\n");
		expect(g.port == 77);
	}
	finish(&g);
}

static void file_server_answers_and_survives_what_is_hostile(void)
{
	struct guest g;

	if (start_with(&g, "TINY_GUEST", "case=fs", 1, true)) {
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STATUS && g.end.status == 0);
		expect_str(said(&g), "");
	}
	finish(&g);
}

static void console_sends(void)
{
	expect_run("TINY_GUEST", "case=console", 1, VM_STATUS, 0, "by the console\n");
}

static void page_in_the_balloon_is_given_back(void)
{
	expect_run("TINY_GUEST", "case=balloon", 1, VM_STATUS, 0, "");
}

static void connection_reaches_the_listener(void)
{
	struct guest g;

	if (start(&g, "TINY_GUEST", "case=vsock", 1)) {
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STATUS && g.end.status == 0);
		expect_str(said(&g), "");
		expect(g.port == 77);
	}
	finish(&g);
}

static void device_survives_resets_at_work(void)
{
	expect_run("TINY_GUEST", "case=resets", 1, VM_STATUS, 0, "");
}

static void second_processor_starts(void)
{
	expect_run("TINY_GUEST", "case=smp", 2, VM_STATUS, 0, "");
}

static void reset_is_the_cause(void)
{
	expect_run("TINY_GUEST", "case=reset", 1, VM_RESET, 0, "");
}

static void triple_fault_is_the_cause(void)
{
	expect_run("TINY_GUEST", "case=triple", 2, VM_TRIPLE_FAULT, 0, "");
}

static void kvm_that_gives_up_is_the_cause(void)
{
	expect_run("TINY_GUEST", "case=broken", 1, VM_BROKEN, 0, "");
}

static uint32_t counter(const struct guest *g)
{
	uint32_t n = 0;

	expect(guest_read(vmm_memory(g->v), COUNTER, &n, sizeof(n)));
	return n;
}

/* The guest counts for ever: to see that it does is to wait for it. */
static void wait_count(const struct guest *g, uint32_t more_than)
{
	while (counter(g) <= more_than)
		sched_yield();
}

static void paused_guest_stands_still(void)
{
	struct guest g;
	uint32_t n;

	if (start(&g, "TINY_GUEST", "case=spin", 2)) {
		for (int i = 0; i < 3; i++) {
			wait_count(&g, counter(&g) + 10);
			expect(vmm_pause(g.v, &g.e) == 0);
			n = counter(&g);
			for (int k = 0; k < 1000; k++)
				sched_yield();
			expect(counter(&g) == n);
			vmm_resume(g.v);
			wait_count(&g, n);
		}
		vmm_stop(g.v);
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STOPPED);
		expect(vmm_pause(g.v, &g.e) == -ESRCH);
	}
	finish(&g);
}

static void storm_of_requests_can_be_stopped(void)
{
	struct guest g;

	if (start(&g, "TINY_GUEST", "case=storm", 1)) {
		wait_count(&g, 200);
		vmm_stop(g.v);
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STOPPED);
	}
	finish(&g);
}

static void sleeping_guest_can_be_stopped(void)
{
	struct guest g;

	if (start(&g, "TINY_GUEST", "case=sleep", 2)) {
		expect(vmm_pause(g.v, &g.e) == 0);
		vmm_stop(g.v);
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STOPPED);
	}
	finish(&g);
	if (start(&g, "TINY_GUEST", "case=sleep", 1))
		finish(&g); /* freed as it runs */
	else
		finish(&g);
}

static void pvh_guest_reads_its_start_info(void)
{
	struct guest g;

	if (start(&g, "TINY_PVH", "marker=pvh", 1)) {
		vmm_wait(g.v, &g.end);
		expect(g.end.cause == VM_STATUS);
		expect(g.end.status == 2); /* below 640 KiB, above 1 MiB */
		expect(strstr(said(&g), " virtio_mmio.device=4K@0xd0003000:8 marker=pvh") != NULL);
	}
	finish(&g);
}

static const struct tap_case cases[] = {
	CASE(hello_by_ports),
	CASE(registers_in_memory_are_answered),
	CASE(device_works_by_ioeventfd_and_irqfd),
	CASE(hostile_rings_stop_the_device_until_reset),
	CASE(hostile_rings_stop_each_device_until_reset),
	CASE(file_server_answers_and_survives_what_is_hostile),
	CASE(console_sends),
	CASE(page_in_the_balloon_is_given_back),
	CASE(connection_reaches_the_listener),
	CASE(device_survives_resets_at_work),
	CASE(second_processor_starts),
	CASE(reset_is_the_cause),
	CASE(triple_fault_is_the_cause),
	CASE(kvm_that_gives_up_is_the_cause),
	CASE(paused_guest_stands_still),
	CASE(storm_of_requests_can_be_stopped),
	CASE(sleeping_guest_can_be_stopped),
	CASE(pvh_guest_reads_its_start_info),
};

/* A KVM that emulates will do. */
int main(void)
{
	struct kvm_probe p;

	kvm_probe(&p);
	if (p.verdict != KVM_USABLE && p.verdict != KVM_NO_HARDWARE) {
		printf("1..0 # SKIP %s\n", p.why);
		return 0;
	}
	return tap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
