//! One file a verb: parse nothing, decide nothing, call the rooms and print.
