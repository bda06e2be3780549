/* A program whose first instruction is seen from outside the virtual machine: CPUID of a leaf that nobody else asks for leaves the guest.
 * It then sleeps for ever, so that what is looked at afterwards does not change. As /init, as a container's program, and, linked
 * with the agent and in place of its beginning, as an initramfs of the agent's size. tools/bench vm; x86_64 only. */
	.globl mark_start
mark_start:
	mov	$0x64727570, %eax
	xor	%ecx, %ecx
	cpuid
1:	mov	$34, %eax	/* pause(2) */
	syscall
	jmp	1b
	.section .note.GNU-stack, "", @progbits
