/* mptable.h - the table that tells a kernel without ACPI of its processors and interrupts (Intel's MultiProcessor Specification 1.4)
 *
 * Processors with the APIC ids 0 .. n-1, one IOAPIC, and each line of the ISA bus on the IOAPIC's input of the same number.
 */
#pragma once
#include "hwvirt-sandbox/guest_mem.h"

/* n_cpus is 1 to VCPUS_MAX. E2BIG: the guest has no memory there. */
must_check int mptable_write(const struct guest_mem *mem, unsigned n_cpus, struct err *e);
