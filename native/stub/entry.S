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

/* long stub_load(at): the word there, or -1 after a fault. */
        .globl stub_load, stub_load_insn, stub_load_fault
        .hidden stub_load, stub_load_insn, stub_load_fault
stub_load:
stub_load_insn:
        mov     (%rdi), %eax
        ret
stub_load_fault:
        mov     $-1, %rax
        ret

/*
 * A patched call (patch.h): r11 is its entry of the table, rax and rcx are free. The block at %gs
 * holds what the guest shall have again; whoever has a %gs of his own makes the call by a trap.
 * Arithmetic flags are not kept, which no system call promises to programs.
 */
#define BLOCK_RAX 0
#define BLOCK_RCX 8
#define BLOCK_RDX 16
#define BLOCK_RDI 24
#define BLOCK_RSI 32
#define BLOCK_R8 40
#define BLOCK_R9 48
#define BLOCK_R10 56
#define BLOCK_RSP 64
#define BLOCK_FLAGS 72
#define BLOCK_RBX 80
#define BLOCK_RBP 88
#define BLOCK_R12 96
#define BLOCK_R13 104
#define BLOCK_R14 112
#define BLOCK_R15 120
#define BLOCK_INTERRUPTED 128
#define BLOCK_REASON 132
#define ENTRY_AFTER 16
#define ENTRY_NUMBER 24
#define ENTRY_SLOW 56
/* patch.h compares these with protocol/mailbox.ts. */
#define AREAS_OFFSET 0x2200000
#define AREAS_BYTES 0x10000000
#define BLOCK_IN_AREA 0xff00

/* What the C part may have changed, with the stack last: nothing but the block is needed after it. */
        .macro guest_registers
        mov     %gs:BLOCK_RDX, %rdx
        mov     %gs:BLOCK_RDI, %rdi
        mov     %gs:BLOCK_RSI, %rsi
        mov     %gs:BLOCK_R8, %r8
        mov     %gs:BLOCK_R9, %r9
        mov     %gs:BLOCK_R10, %r10
        mov     %gs:BLOCK_FLAGS, %r11
        mov     %gs:BLOCK_RCX, %rcx
        mov     %gs:BLOCK_RAX, %rax
        mov     %gs:BLOCK_RSP, %rsp
        .endm

/*
 * long stub_doze(word, operation, value, timeout): futex(2) in a patched call. A signal that comes
 * before the wait has begun takes the thread to stub_doze_interrupted: none is slept through.
 */
        .globl stub_doze, stub_doze_start, stub_doze_end, stub_doze_interrupted
        .hidden stub_doze, stub_doze_start, stub_doze_end, stub_doze_interrupted
stub_doze:
        mov     %rcx, %r10
        mov     $202, %eax
stub_doze_start:
        cmpl    $0, %gs:BLOCK_INTERRUPTED
        jne     stub_doze_interrupted
        syscall
stub_doze_end:
        ret
stub_doze_interrupted:
        mov     $-4, %rax
        ret

        .globl stub_call_entry, stub_call_exit, stub_call_exit_end, stub_call_trap
        .hidden stub_call_entry, stub_call_exit, stub_call_exit_end, stub_call_trap
stub_call_entry:
        rdgsbase %rcx
        lea     (stub_base + AREAS_OFFSET)(%rip), %rax
        sub     %rax, %rcx
        cmp     $AREAS_BYTES, %rcx
        jae     1f
        cmp     $BLOCK_IN_AREA, %cx
        jne     1f
        mov     ENTRY_NUMBER(%r11), %eax
        mov     ENTRY_AFTER(%r11), %rcx
        mov     %rax, %gs:BLOCK_RAX
        mov     %rcx, %gs:BLOCK_RCX
        mov     %rdx, %gs:BLOCK_RDX
        mov     %rdi, %gs:BLOCK_RDI
        mov     %rsi, %gs:BLOCK_RSI
        mov     %r8, %gs:BLOCK_R8
        mov     %r9, %gs:BLOCK_R9
        mov     %r10, %gs:BLOCK_R10
        mov     %rsp, %gs:BLOCK_RSP
        mov     %rbx, %gs:BLOCK_RBX
        mov     %rbp, %gs:BLOCK_RBP
        mov     %r12, %gs:BLOCK_R12
        mov     %r13, %gs:BLOCK_R13
        mov     %r14, %gs:BLOCK_R14
        mov     %r15, %gs:BLOCK_R15
        rdgsbase %rsp
        pushfq
        popq    %gs:BLOCK_FLAGS
        cld
        rdgsbase %rdi
        call    stub_on_call
        test    %eax, %eax
        jne     2f
/* A signal that comes after the question starts this part again: all it needs is in the block. */
stub_call_exit:
        cmpl    $0, %gs:BLOCK_INTERRUPTED
        jne     3f
        rdgsbase %rsp
        pushq   %gs:BLOCK_FLAGS
        popfq
        guest_registers
        jmp     *%rcx
stub_call_exit_end:
1:      mov     ENTRY_NUMBER(%r11), %eax
        lea     ENTRY_SLOW(%r11), %rcx
        jmp     *%rcx
2:      movl    $1, %gs:BLOCK_REASON
        jmp     4f
3:      movl    $2, %gs:BLOCK_REASON
4:      guest_registers
/* Not ud2, which a hypervisor may want to see first: 15 us more. */
        int3
stub_call_trap:
        hlt

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
