/* The `vm` object. Go programs built with the specification's older types write an unset hypervisor or image as {"path": ""}. */
#include "oci/shapes.h"
#include "oci/spec.h"

#include <errno.h>
#include <string.h>

static int check_vm_hypervisor(void *object, struct checker *c)
{
	const struct oci_vm_hypervisor *h = object;

	return h->path || !h->parameters.n ? 0 : check_fail(c, "path", -1, "must not be empty");
}

static int check_vm_image(void *object, struct checker *c)
{
	const struct oci_vm_image *i = object;

	return i->path || !check_has(c, "format") ? 0 : check_fail(c, "path", -1, "must not be empty");
}

static int check_vm(void *object, struct checker *c)
{
	struct oci_vm *vm = object;

	(void)c;
	if (vm->hypervisor && !vm->hypervisor->path)
		vm->hypervisor = NULL;
	if (vm->image && !vm->image->path)
		vm->image = NULL;
	return 0;
}

/* ---- tables ---- */
/* clang-format off */

static const char *const format_words[] = { "raw", "qcow2", "vdi", "vmdk", "vhd" };
static const struct names format_names = { format_words, 5 };

SHAPE(oci_vm_hypervisor, check_vm_hypervisor,
	F_STR(struct oci_vm_hypervisor, path, "path", REQUIRED | EMPTY_NONE | ABSOLUTE),
	F_STRS(struct oci_vm_hypervisor, parameters, "parameters", 0));

SHAPE(oci_vm_kernel, NULL,
	F_STR(struct oci_vm_kernel, path, "path", REQUIRED | ABSOLUTE),
	F_STR(struct oci_vm_kernel, initrd, "initrd", EMPTY_NONE | ABSOLUTE),
	F_STRS(struct oci_vm_kernel, parameters, "parameters", 0));

SHAPE(oci_vm_image, check_vm_image,
	F_STR(struct oci_vm_image, path, "path", REQUIRED | EMPTY_NONE | ABSOLUTE),
	F_ENUM(struct oci_vm_image, format, "format", 0, &format_names));

SHAPE(oci_vm_iomem, NULL,
	F_OU64(struct oci_vm_iomem, first_gfn, "firstGFN"),
	F_U64(struct oci_vm_iomem, first_mfn, "firstMFN", REQUIRED),
	F_U64(struct oci_vm_iomem, nr_mfns, "nrMFNs", REQUIRED));

SHAPE(oci_vm_hw, NULL,
	F_STR(struct oci_vm_hw, device_tree, "deviceTree", EMPTY_NONE),
	F_OU32(struct oci_vm_hw, vcpus, "vcpus"),
	F_OU64(struct oci_vm_hw, memory, "memory"),
	F_STRS(struct oci_vm_hw, dtdevs, "dtdevs", 0),
	F_OBJS(struct oci_vm_hw, iomems, "iomems", 0, oci_vm_iomem),
	F_U32S(struct oci_vm_hw, irqs, "irqs"));

SHARED_SHAPE(oci_vm, check_vm,
	F_OBJ(struct oci_vm, hypervisor, "hypervisor", 0, oci_vm_hypervisor),
	F_OBJ(struct oci_vm, kernel, "kernel", REQUIRED, oci_vm_kernel),
	F_OBJ(struct oci_vm, image, "image", 0, oci_vm_image),
	F_OBJ(struct oci_vm, hw_config, "hwConfig", 0, oci_vm_hw));

/* clang-format on */
