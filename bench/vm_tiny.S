/* A guest of a few instructions, with a PVH entry, for the cost of a virtual machine without a kernel: tells that it runs as
 * vm_mark.S does, and halts. */
	.section .note.Xen, "a", @note
	.long	4, 4, 18	/* sizes of name and entry, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	tiny_start
	.text
	.code32
	.globl tiny_start
tiny_start:
	mov	$0x64727570, %eax
	xor	%ecx, %ecx
	cpuid
1:	cli
	hlt
	jmp	1b
	.section .note.GNU-stack, "", @progbits
