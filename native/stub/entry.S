/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assembly parts of the stub. The blob starts with struct stub_header (mailbox.h).
 * The only `syscall` instructions of the address space outside guest code are here.
 */
        .section .head, "ax"
        .globl stub_base
        .hidden stub_base
stub_base:
        .quad 0x62757473746e7572
        .long stub_boot_entry - stub_base
        .long stub_on_signal - stub_base
        .long stub_restorer - stub_base
        .long stub_end - stub_base
        .zero 8

        .text
/* long stub_syscall(nr, a0, a1, a2, a3, a4, a5): the host call. */
        .globl stub_syscall
        .hidden stub_syscall
stub_syscall:
        mov     %rdi, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        mov     %rcx, %rdx
        mov     %r8, %r10
        mov     %r9, %r8
        mov     8(%rsp), %r9
        syscall
        ret

/* Reached by `ret` with the stack pointer at the frame. */
        .globl stub_restorer
        .hidden stub_restorer
stub_restorer:
        mov     $15, %eax
        syscall
        hlt

/* A new thread: its stack holds the address of its frame and this entry, popped by stub_syscall's ret. */
        .globl stub_thread_entry
        .hidden stub_thread_entry
stub_thread_entry:
        pop     %rdi
        mov     %rdi, %rbx
        and     $-16, %rsp
        call    stub_thread_main
        mov     %rbx, %rsp
        jmp     stub_restorer

/* size_t stub_copy(dst, src, n): bytes NOT copied. A fault goes on at stub_copy_fault. */
        .globl stub_copy, stub_copy_fault
        .hidden stub_copy, stub_copy_fault
stub_copy:
        mov     %rdx, %rcx
stub_copy_insn:
        rep movsb
stub_copy_fault:
        mov     %rcx, %rax
        ret
        .globl stub_copy_insn
        .hidden stub_copy_insn

/* long stub_touch_read(at), stub_touch_write(at): 0, or 1 after a fault, which goes on at stub_touch_fault. */
        .globl stub_touch_read, stub_touch_write, stub_touch_fault
        .hidden stub_touch_read, stub_touch_write, stub_touch_fault
        .globl stub_touch_read_insn, stub_touch_write_insn
        .hidden stub_touch_read_insn, stub_touch_write_insn
stub_touch_read:
stub_touch_read_insn:
        movzbl  (%rdi), %eax
        xor     %eax, %eax
        ret
stub_touch_write:
        xor     %eax, %eax
stub_touch_write_insn:
        lock orb $0, (%rdi)
        ret
stub_touch_fault:
        mov     $1, %eax
        ret

/* From the zygote: rdi = struct stub_boot*, already on the stack of area 0. */
        .globl stub_boot_entry
        .hidden stub_boot_entry
stub_boot_entry:
        and     $-16, %rsp
        call    stub_boot_main
        .globl stub_boot_trap
        .hidden stub_boot_trap
stub_boot_trap:
        ud2

        .section .note.GNU-stack, "", @progbits
