// SPDX-License-Identifier: GPL-2.0
/* Needs the other one, which needs it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

int hen_age(void);
int egg_age(void);

int hen_age(void)
{
	return 1;
}
EXPORT_SYMBOL_GPL(hen_age);

static int __init hen_init(void)
{
	pr_info("is %d\n", egg_age() + 1);
	return 0;
}
module_init(hen_init);

static void __exit hen_exit(void)
{
}
module_exit(hen_exit);

MODULE_DESCRIPTION("Needs the other one, which needs it");
MODULE_LICENSE("GPL");
