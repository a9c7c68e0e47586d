#!/bin/sh
# Changes ticket, builds it alone, and says what became of its seal and, where the kernel has them,
# of its versions:  sh change.sh KDIR
extra=$PWD/Module.symvers

# What `make` exports of ticket once it is changed so: a script for sed.
exports() {
    rm -rf changed && mkdir changed
    cp ticket/Kbuild changed && sed "$1" ticket/ticket_main.rs > changed/ticket_main.rs
    make -s -C "$KDIR" M="$PWD/changed" KBUILD_EXTRA_SYMBOLS="$extra" || exit
    cat changed/Module.symvers
}
seal() { grep -o '_abi_[0-9a-f]*'; }
version() { grep "$1" | cut -f 1; }

KDIR=$1
first=$(exports '')
while IFS='|' read -r what script; do
    now=$(exports "$script") || exit
    row=
    for part in seal 'version 6Ticket4draw' 'version 6ticket6weight'; do
        if [ "$(echo "$first" | $part)" = "$(echo "$now" | $part)" ]; then
            row="$row  same "
        else
            row="$row  other"
        fi
    done
    echo "$row   $what"
done <<'END'
a comment|s,^struct TicketModule,// Not for importers.\n&,
the words for readers|s,^/// A ticket\..*,/// A piece of paper.,
a function that nobody else calls|s,is torn,is torn up,
a new function|s,^// ANCHOR_END,/// New.\npub fn new() {}\n&,
the type of a field|s,number: u64,number: u128,; s,number: press::next(),number: press::next().into(),; s,-> u64 {$,-> u128 {,; /^    pub(super) fn next/s/u128/u64/; /weight/s/u128/u64/
a new field|s,^    number: u64\,,    /// In cents.\n    pub price: u64\,\n&,; s,^            number: press,            price: 0\,\n&,
END
