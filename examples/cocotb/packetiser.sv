// A small E-Trace packetiser: one instruction a cycle, packets of formats 1, 2, 3.0 and 3.1.
//
// It follows the flow chart of E-Trace 2.0, "Reference Compressed Branch Trace Algorithm", without
// optional modes. An instruction's packet depends on the one behind it, so that one is kept in hand
// until the next comes. A cycle can complete two packets: `report_*` about the instruction in hand
// (formats 1 and 2; 3.1 of a trap whose handler nobody entered), and `sync_*` about the one that
// came (3.0, 3.1), which goes out after it.
//
// Parameters and ports are named as in the specification; `packetiser.toml` has the same values for
// the model. Not done: support packets (3.3), context and time, data trace, filters, framing, and leaving out
// the bytes that sign extension gives back.
module packetiser #(
    parameter int ADDRESS = 32,     // iaddress_width_p; iaddress_lsb_p is 1
    parameter int ECAUSE = 5,       // ecause_width_p
    parameter int PERIOD = 16,      // packets between synchronisations; 0: none are sent for that
    parameter int BUG = 0,          // a fault, for a test bench to find: see below
    localparam int BITS = 2 * ADDRESS + ECAUSE + 40
) (
    input  logic               clk,
    input  logic               rst_n,

    // the hart: `valid` an instruction that retires, or (itype 1, 2) an exception or interrupt,
    // whose `iaddr` did not retire
    input  logic               valid,
    input  logic [3:0]         itype,
    input  logic [ECAUSE-1:0]  cause,
    input  logic [ADDRESS-1:0] tval,
    input  logic [1:0]         priv,
    input  logic [ADDRESS-1:0] iaddr,
    input  logic               finish,         // tracing ends: nothing comes any more

    // packets, the cycle after: bit 0 is the first one sent
    output logic               report_valid,
    output logic [BITS-1:0]    report_bits,
    output logic [7:0]         report_length,
    output logic               sync_valid,
    output logic [BITS-1:0]    sync_bits,
    output logic [7:0]         sync_length
);
    // BUG 1: a synchronisation does not give the base of the next differential address.
    // BUG 2: the 2nd branch of a map counts as taken.
    // BUG 3: *updiscon* never says anything.

    localparam int FIELD = ADDRESS - 1;         // of an address

    // the row in hand
    localparam logic [1:0] NOTHING = 0, RETIRED = 1, WAITING = 2, REPORTED = 3;
    logic [1:0]         hand, hand_priv;
    logic [3:0]         hand_itype;
    logic [ADDRESS-1:0] hand_iaddr, hand_tval;
    logic [ECAUSE-1:0]  hand_cause;
    logic               hand_interrupt;
    logic               hand_sent;              // a format 3 has told it
    logic               hand_target;            // it is where an uninferable jump led

    // between packets
    logic [5:0]         branches;
    logic [30:0]        map;
    logic [ADDRESS-1:0] last;                   // address that the next one is relative to
    logic [15:0]        count;                  // packets since the last synchronisation

    // -- what this cycle does -------------------------------------------------------------------

    wire is_trap  = valid && (itype == 1 || itype == 2);
    wire retires  = valid && !is_trap;
    wire is_branch = itype == 4 || itype == 5;
    // uninferable discontinuities: xRET, and jumps through a register
    wire updiscon = hand == RETIRED && (hand_itype == 3 || hand_itype == 6 || hand_itype == 8
                    || hand_itype == 10 || hand_itype == 12 || hand_itype == 13
                    || hand_itype == 14);
    wire changes  = hand_priv != priv;

    // formats 1 and 2: the row in hand, once the next is known
    wire due_next = PERIOD != 0 && count + 1 > PERIOD;
    wire due_soon = PERIOD != 0 && count == PERIOD && branches != 0;
    wire follows  = is_trap || (retires && (changes || due_next));
    wire stops    = !retires || (changes && branches != 0);
    wire reports  = (valid || finish) && hand == RETIRED && !hand_sent;
    wire with_address = reports && (hand_target || due_soon || stops);
    wire only_map = reports && !with_address && branches == 31;
    // a jump's target is told by *updiscon* if the next packet is not relative to it
    wire differs  = BUG != 3 && hand_target && follows;

    wire [ADDRESS-1:0] difference = hand_iaddr - last;
    wire [FIELD-1:0] field = difference[ADDRESS-1:1];
    wire [2:0] tail = {{2{field[FIELD-1] ^ differs}}, field[FIELD-1]};

    logic [BITS-1:0] report;
    logic [7:0]      report_end;
    logic [4:0]      map_bits;
    always_comb begin
        map_bits = branches == 0 ? 0 : branches == 1 ? 1 : branches <= 3 ? 3 : branches <= 7 ? 7
                 : branches <= 15 ? 15 : 31;
        report = 0;
        report_end = 2;
        if (only_map) begin
            report = 1 | BITS'(map) << 7;       // 31 branches stand as 0
            report_end = 2 + 5 + 31;
        end else if (branches != 0) begin
            report = 1 | BITS'(branches) << 2 | BITS'(map) << 7;
            report_end = 2 + 5 + map_bits;
        end else begin
            report = 2;
        end
        if (!only_map) begin
            report = report | BITS'(field) << report_end
                // notify, updiscon and irreport say something by differing from the bit before
                | BITS'(tail) << (report_end + FIELD);
            report_end = report_end + FIELD + 3;
        end
    end

    // formats 3.0 and 3.1: what comes
    wire late     = PERIOD != 0 && count + ((with_address || only_map) ? 1 : 0) > PERIOD;
    wire handler  = retires && hand == WAITING;
    wire syncs    = retires && hand != WAITING && (hand != RETIRED || changes || late);
    wire at_once  = is_trap && (hand == NOTHING || hand == REPORTED
                    || (hand == RETIRED && (updiscon || changes)));
    wire second   = is_trap && hand == WAITING; // a handler's first instruction traps
    wire alone    = finish && hand == WAITING;
    wire traps    = handler || at_once || second || alone;

    wire              tell_interrupt = at_once ? itype == 2 : hand_interrupt;
    wire [ECAUSE-1:0] tell_cause     = at_once ? cause : hand_cause;
    wire [ADDRESS-1:0] tell_tval     = at_once ? tval : hand_tval;
    wire [1:0]        tell_priv      = (second || alone) ? hand_priv : priv;
    wire [ADDRESS-1:0] tell_address  = alone ? 0 : iaddr;
    wire [FIELD-1:0]  tell_field     = tell_address[ADDRESS-1:1];
    wire              branch_bit     = !(retires && itype == 5);

    logic [BITS-1:0] sync;
    logic [7:0]      sync_end;
    always_comb begin
        sync = 3 | BITS'(branch_bit) << 4 | BITS'(tell_priv) << 5;
        sync_end = 2 + 2 + 1 + 2;
        if (traps) begin
            sync = sync | 1 << 2 | BITS'({handler, tell_interrupt, tell_cause}) << 7;
            sync_end = sync_end + ECAUSE + 2;
        end
        sync = sync | BITS'(tell_field) << sync_end;
        sync_end = sync_end + FIELD;
        if (traps && !tell_interrupt) begin
            sync = sync | BITS'(tell_tval) << sync_end;
            sync_end = sync_end + ADDRESS;
        end
    end

    wire not_taken = itype == 4 && !(BUG == 2 && branches == 1);

    always_ff @(posedge clk) begin
        report_valid  <= rst_n && (with_address || only_map);
        report_bits   <= report;
        report_length <= report_end;
        sync_valid    <= rst_n && (syncs || traps);
        sync_bits     <= sync;
        sync_length   <= sync_end;
        if (!rst_n) begin
            hand <= NOTHING;
            hand_priv <= 0;
            hand_sent <= 0;
            hand_target <= 0;
            branches <= 0;
            map <= 0;
            last <= 0;
            count <= 0;
        end else if (valid || finish) begin
            if (with_address || only_map) begin
                count <= count + 1;
                branches <= 0;
                map <= 0;
            end
            if (with_address) last <= hand_iaddr;
            if (syncs || traps) begin
                count <= 0;
                branches <= 0;
                map <= 0;
                if (retires && !(BUG == 1 && syncs)) last <= iaddr;
            end else if (retires && is_branch) begin
                branches <= (with_address || only_map) ? 1 : branches + 1;
                map <= (with_address || only_map) ? 31'(not_taken)
                                                  : map | 31'(not_taken) << branches;
            end
            hand        <= finish ? NOTHING : retires ? RETIRED : at_once ? REPORTED : WAITING;
            hand_iaddr  <= iaddr;
            hand_priv   <= priv;
            hand_itype  <= itype;
            hand_sent   <= syncs || handler;
            hand_target <= updiscon && !(syncs || handler);
            if (is_trap) begin
                hand_cause <= cause;
                hand_tval <= tval;
                hand_interrupt <= itype == 2;
            end
        end
    end
endmodule
