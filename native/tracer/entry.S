/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tracer's threads begin and end, on stacks that are theirs alone. */
        .text
/* long tracer_clone(flags, stack, argument, entry): a thread of this process, with %fs at its argument. */
        .globl tracer_clone
        .hidden tracer_clone
tracer_clone:
        push    %r12
        push    %r13
        mov     %rcx, %r12
        mov     %rdx, %r13
        mov     %rdx, %r8
        xor     %edx, %edx
        xor     %r10d, %r10d
        mov     $56, %eax
        syscall
        test    %rax, %rax
        jz      1f
        pop     %r13
        pop     %r12
        ret
1:      xor     %ebp, %ebp
        mov     %r13, %rdi
        call    *%r12
        ud2

/* void tracer_unmap_and_exit(block, bytes): the block has the stack of who calls this. */
        .globl tracer_unmap_and_exit
        .hidden tracer_unmap_and_exit
tracer_unmap_and_exit:
        mov     $11, %eax
        syscall
        mov     $60, %eax
        xor     %edi, %edi
        syscall
        ud2

        .section .rodata
        .balign 16
        .globl tracee_page, tracee_page_end
        .hidden tracee_page, tracee_page_end
tracee_page:
        .incbin TRACEE_BLOB
tracee_page_end:

        .section .note.GNU-stack, "", @progbits
