/* vmm.h - a virtual machine as a whole: memory, processors, devices, one thread that serves the devices
 *
 *   vmm_new, devices made on vmm_memory(), vmm_add for each, vmm_start, vmm_wait, vmm_free
 *
 * The guest's accesses to a device's registers come from the processors' threads, its requests from the device thread; a lock for each
 * device keeps them apart, so a device's functions are never called twice at a time.
 */
#pragma once
#include "hwvirt-sandbox/kvm/vcpu.h"
#include "hwvirt-sandbox/virtio/device.h"

#define VMM_EXIT_PORT 0xf4 /* see exit_port */

struct vmm_config {
	int kvm_fd;          /* borrowed until vmm_free; see kvm_open() */
	uint64_t mem_size;   /* bytes, a multiple of the page size */
	unsigned n_cpus;     /* 1 to VCPUS_MAX */
	int kernel_fd;       /* borrowed until vmm_start; an ELF with a PVH note or a bzImage */
	int initrd_fd;       /* the same; -EBADF: none */
	const char *cmdline; /* after what we say ourselves; NULL: none */
	int serial_fd;       /* borrowed until vmm_free: what the guest's serial port sends; -EBADF: it has none */
	bool exit_port;      /* a byte written to VMM_EXIT_PORT ends the machine with that status: for tests */
	bool pit;            /* the old timer, for kernels that need it to measure the others */
};

struct vmm;

/* Makes the machine. What the host can't give is an error of the host's. */
must_check int vmm_new(const struct vmm_config *c, struct vmm **out, struct err *e);

const struct guest_mem *vmm_memory(const struct vmm *v);

/* Puts a device (borrowed until vmm_free, with vmm_memory() as its memory) into the next slot, before vmm_start(). ENOSPC: none is left. */
must_check int vmm_add(struct vmm *v, struct virtio_device *d, struct err *e);

/* Loads the kernel and lets the guest run. ENOEXEC, E2BIG: the image (x86/image.h). */
must_check int vmm_start(struct vmm *v, struct err *e);

/* When it returns no processor of the guest runs. ESRCH: the machine has ended. */
must_check int vmm_pause(struct vmm *v, struct err *e);
void vmm_resume(struct vmm *v);

/* Ends the machine from our side; vmm_wait() then returns soon. */
void vmm_stop(struct vmm *v);

/* Waits for the end, for which it tells the cause. Nothing of the guest runs any more. */
void vmm_wait(struct vmm *v, struct vm_end *out);

/* Accepts NULL. A machine that runs is stopped first. */
void vmm_free(struct vmm *v);
