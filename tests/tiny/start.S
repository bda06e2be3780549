/* start.S - the beginning of the tiny guest, in 64-bit mode by Linux's protocol, and of its second processor, in real mode */
	.code64
	.text
	.globl _start
_start:
	lea stack_end(%rip), %rsp
	mov %rsi, %rdi
	call guest_main
1:	hlt
	jmp 1b

/* An interrupt: count it, tell the APIC. */
	.globl on_interrupt
on_interrupt:
	push %rax
	incl interrupts(%rip)
	mov $0xfee000b0, %eax
	movl $0, (%rax)
	pop %rax
	iretq

ap_long:
	lea ap_stack_end(%rip), %rsp
	call ap_main
1:	hlt
	jmp 1b

/* Copied to AP_CODE, which is where the second processor begins. */
	.set AP_CODE, 0x8000
	.code16
	.globl ap_code, ap_code_end
ap_code:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl (ap_gdt - ap_code + AP_CODE)
	mov $0x20, %eax
	mov %eax, %cr4
	mov $0x9000, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000001, %eax
	mov %eax, %cr0
	ljmpl $0x10, $ap_long
ap_gdt:
	.word 31
	.long 0x500
ap_code_end:

	.bss
	.globl interrupts
	.balign 16
interrupts:
	.skip 16
	.skip 8192
stack_end:
	.skip 4096
ap_stack_end:

	.section .note.GNU-stack, "", @progbits
