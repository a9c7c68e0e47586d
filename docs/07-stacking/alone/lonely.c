// SPDX-License-Identifier: GPL-2.0
/* Is built without greeter_c, and uses it. */
#include <linux/module.h>

#include <greeter_c.h>

static int __init lonely_init(void)
{
	return greeter_c_hello("lonely");
}
module_init(lonely_init);

static void __exit lonely_exit(void)
{
}
module_exit(lonely_exit);

MODULE_DESCRIPTION("Is built in a folder of its own");
MODULE_LICENSE("GPL");
