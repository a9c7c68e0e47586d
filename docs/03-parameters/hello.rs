// SPDX-License-Identifier: GPL-2.0

//! Has two parameters, which it reads when it is loaded.

use core::borrow::Borrow;
use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello",
    authors: ["The symstack authors"],
    description: "Says how often it will greet",
    license: "GPL",
    params: {
        guests: i32 {
            default: 1,
            description: "How many guests come",
        },
        times: u8 {
            default: 3,
            description: "How often each of them is greeted",
        },
    },
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // 7.2 returns a reference here, 7.3 the value: both can be borrowed.
        let guests: i32 = *Borrow::borrow(&module_parameters::guests.value());
        let times: u8 = *Borrow::borrow(&module_parameters::times.value());

        let greetings = guests.checked_mul(i32::from(times)).ok_or(ERANGE)?;
        pr_info!("{guests} guests, each greeted {times} times: {greetings} greetings\n");
        Ok(Hello)
    }
}
