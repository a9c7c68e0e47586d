// SPDX-License-Identifier: GPL-2.0
/* Has an exit function and no init function. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

/* Of a module without any other function the build cannot make BTF (7.3.4). */
static noinline void leaves_say(const char *what)
{
	pr_info("%s\n", what);
}

static void __exit leaves_exit(void)
{
	leaves_say("leaves");
}
module_exit(leaves_exit);

MODULE_DESCRIPTION("Has an exit function and no init function");
MODULE_LICENSE("GPL");
