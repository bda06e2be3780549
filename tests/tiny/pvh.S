/* pvh.S - a guest that begins by PVH, in 32-bit mode: sends its command line to the serial port, and gives the number of ranges of memory
 * that it was told of as its exit status; 100 if it was not given a start info. */
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long pvh_start

	.text
	.code32
	.globl _start
_start:
pvh_start:
	mov $100, %al
	cmpl $0x336ec578, (%ebx)
	jne 3f
	mov 24(%ebx), %esi
	mov $0x3f8, %dx
1:	lodsb
	test %al, %al
	jz 2f
	out %al, %dx
	jmp 1b
2:	mov 48(%ebx), %al
3:	out %al, $0xf4
	hlt

	.section .note.GNU-stack, "", @progbits
