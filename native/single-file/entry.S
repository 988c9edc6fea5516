/* SPDX-License-Identifier: Apache-2.0 */
# The first instruction of the one-file build (entry.h), and the last before the program that was chosen.
        .globl  runts_entry
        .type   runts_entry, @function
runts_entry:
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        andq    $-16, %rsp
        call    choose

# jump(address, stack)
        .globl  jump
        .type   jump, @function
jump:
        movq    %rsi, %rsp
        xorl    %eax, %eax
        xorl    %ebx, %ebx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %ebp, %ebp
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        xorl    %r10d, %r10d
        xorl    %r12d, %r12d
        xorl    %r13d, %r13d
        xorl    %r14d, %r14d
        xorl    %r15d, %r15d
        movq    %rdi, %r11
        xorl    %edi, %edi
        jmp     *%r11
        .section .note.GNU-stack, "", @progbits
