"""E-Trace 2.0, chapter "Example code and packets": RV64, differential addresses.

Each example is a fragment: here it starts with a 3.0 where the chapter's own differences say that
the address reported last was, and ends with the trace.
"""

from tests.model.adapter import Implementation
from tests.spec.notation import RV64, agree, stream


def test_1_call_to_debug_printf(implementation: Implementation) -> None:
    """The target of the jal is inferable: no packet but the last instruction's."""
    agree(
        implementation,
        """
        80001a80: f6d42423  sw a3,-152(s0)
        80001a84: ef4ff0ef  jal x1,80001178
        80001178: 7139      addi sp,sp,-64
        """,
        """
        80001a80
        80001a84
        80001178
        """,
        """
        3.3 no_change
        3.0 80001a80
        2 80001178
        3.3 ended_rep
        """,
    )


def test_2_return_from_debug_printf(implementation: Implementation) -> None:
    agree(
        implementation,
        """
        80001188: 6121      addi sp,sp,64
        8000118a: 8082      ret
        80001a88: 00000597  auipc a1,0x0
        80001a8c: 65058593  addi a1,a1,1616
        """,
        """
        80001188
        8000118a
        80001a88
        80001a8c
        """,
        """
        3.3 no_change
        3.0 80001188
        2 80001a88
        2 80001a8c
        3.3 ended_rep
        """,
    )


def test_3_a_final_taken_branch_and_a_return(implementation: Implementation) -> None:
    agree(
        implementation,
        """
        800010da: 4781      li a5,0
        800010dc: 00a05863  blez a0,800010ec
        800010ec: 60e2      ld ra,24(sp)
        800010ee: 6442      ld s0,16(sp)
        800010f0: 64a2      ld s1,8(sp)
        800010f2: 853e      mv a0,a5
        800010f4: 6105      addi sp,sp,32
        800010f6: 8082      ret
        80001b8a: f4442603  lw a2,-188(s0)
        80001b8e: 0001      nop
        """,
        """
        800010da
        800010dc
        800010ec
        800010ee
        800010f0
        800010f2
        800010f4
        800010f6
        80001b8a
        80001b8e
        """,
        """
        3.3 no_change
        3.0 800010da
        1 T 80001b8a
        2 80001b8e
        3.3 ended_rep
        """,
    )


def test_3_difference(implementation: Implementation) -> None:
    """address=0x80001b8a is sent as the difference 0xab0, in half-words here."""
    data = stream("3.0 800010da\n1 T 80001b8a", RV64)
    payload = data[data[0] % 32 + 2 :]
    value = int.from_bytes(payload, "little")
    assert value & 0xFF == 0b0_00001_01
    assert value >> 8 == 0xAB0 >> 1


PROC_6_AND_FUNC_3 = """
    8000121c: 441c      lw a5,8(s0)
    8000121e: c795      beqz a5,8000124a
    8000124a: 44c8      lw a0,12(s1)
    8000124c: 4799      li a5,6
    8000124e: 00c40593  addi a1,s0,12
    80001252: c81c      sw a5,16(s0)
    80001254: eadff0ef  jal x1,80001100
    80001258: 00093783  ld a5,0(s2)
    8000125c: 0001      nop
    80001100: 1101      addi sp,sp,-32
    80001102: e822      sd s0,16(sp)
    80001104: e426      sd s1,8(sp)
    80001106: ec06      sd ra,24(sp)
    80001108: 842a      mv s0,a0
    8000110a: 84ae      mv s1,a1
    8000110c: fedff0ef  jal x1,800010f8
    800010f8: 1579      addi a0,a0,-2
    800010fa: 00153513  seqz a0,a0
    800010fe: 8082      ret
    80001110: c115      beqz a0,80001134
    80001112: c080      sw s0,0(s1)
    80001114: 4785      li a5,1
    80001116: 02f40463  beq s0,a5,8000113e
    8000111a: c81d      beqz s0,80001150
    8000111c: 4709      li a4,2
    8000111e: 04e40063  beq s0,a4,8000115e
    8000115e: 60e2      ld ra,24(sp)
    80001160: 6442      ld s0,16(sp)
    80001162: c09c      sw a5,0(s1)
    80001164: 64a2      ld s1,8(sp)
    80001166: 6105      addi sp,sp,32
    80001168: 8082      ret
"""


def test_5_and_then_4(implementation: Implementation) -> None:
    """Example 4 goes on where 5 ends: its difference 0x148 is from 5's 80001110.

    updiscon=1 in example 5 is the bit as sent: equal to notify and to the sign of the difference.
    """
    agree(
        implementation,
        PROC_6_AND_FUNC_3,
        """
        8000121c
        8000121e
        8000124a
        8000124c
        8000124e
        80001252
        80001254
        80001100
        80001102
        80001104
        80001106
        80001108
        8000110a
        8000110c
        800010f8
        800010fa
        800010fe
        80001110
        80001112
        80001114
        80001116
        8000111a
        8000111c
        8000111e
        8000115e
        80001160
        80001162
        80001164
        80001166
        80001168
        80001258
        8000125c
        """,
        """
        3.3 no_change
        3.0 8000121c
        1 TN 80001110       # branches=2, branch_map=0x2
        1 NNT 80001258      # branches=3, branch_map=0x3
        2 8000125c
        3.3 ended_rep
        """,
    )
