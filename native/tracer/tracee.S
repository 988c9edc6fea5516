/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one page of code in every guest process under the platform ptrace. Nothing here decides
 * anything: the tracer sets all registers, lets the thread run a few instructions, and the int3
 * behind them stops it again. The page is never writable, and there is no other `syscall`
 * instruction in the address space that is carried out.
 */
        .section .head, "ax"
        .globl tracee_start
tracee_start:
        .quad 0x62757473746e7572
        .long tracee_boot - tracee_start
        .long tracee_call - tracee_start
        .long tracee_clone - tracee_start
        .long tracee_handler - tracee_start
        .long tracee_touch_read - tracee_start
        .long tracee_touch_write - tracee_start

/* A system call for the tracer. */
        .balign 16
tracee_call:
        syscall
        int3

/* A child sleeps, untraced, until its tracer has taken it over; it must not come near guest code. */
        .balign 16
tracee_clone:
        syscall
        test    %rax, %rax
        jz      1f
        int3
1:      mov     $34, %eax
        syscall
        jmp     1b

/* Where signals go whose frame the tracer reads: what it says about a fault, ptrace(2) does not. */
        .balign 16
tracee_handler:
        int3

/* Each page from rdi to rsi is read, or written as it is. A fault leaves rdi at the page. */
        .balign 16
tracee_touch_read:
        movb    (%rdi), %al
        add     $4096, %rdi
        cmp     %rsi, %rdi
        jb      tracee_touch_read
        int3
        .balign 16
tracee_touch_write:
        lock orb $0, (%rdi)
        add     $4096, %rdi
        cmp     %rsi, %rdi
        jb      tracee_touch_write
        int3

/*
 * The last steps of the first process: all that is below r12 and from r13 to r13 + r14 goes, and the
 * filter at r15 (struct sock_fprog) goes on. A host without seccomp has no filter: it is the second wall.
 */
        .balign 16
tracee_boot:
        mov     $11, %eax
        xor     %edi, %edi
        mov     %r12, %rsi
        syscall
        mov     $11, %eax
        mov     %r13, %rdi
        mov     %r14, %rsi
        syscall
        mov     $317, %eax
        mov     $1, %edi
        xor     %esi, %esi
        mov     %r15, %rdx
        syscall
        int3

        .section .note.GNU-stack, "", @progbits
