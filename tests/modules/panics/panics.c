// SPDX-License-Identifier: GPL-2.0
/* Stops the machine: a program that waits for it must be told that no answer will come. */
#include <linux/module.h>
#include <linux/panic.h>

static int __init panics_init(void)
{
	panic("panics: as asked");
}
module_init(panics_init);

MODULE_DESCRIPTION("Panics when it is loaded");
MODULE_LICENSE("GPL");
