// SPDX-License-Identifier: GPL-2.0
/* Prints an address as %p, hashed, and as %px, as it is. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/sprintf.h>
#include <linux/string.h>

static const char secret = 42;

/* ANCHOR: init */
static int __init pointer_init(void)
{
	char pointer[20], number[20];

	snprintf(pointer, sizeof(pointer), "%p", &secret);
	snprintf(number, sizeof(number), "%px", &secret);
	pr_info("%%p shows the address: %s\n",
		strcmp(pointer, number) == 0 ? "true" : "false");
	return 0;
}
/* ANCHOR_END: init */
module_init(pointer_init);

static void __exit pointer_exit(void)
{
}
module_exit(pointer_exit);

MODULE_DESCRIPTION("An address as it is printed");
MODULE_LICENSE("GPL");
