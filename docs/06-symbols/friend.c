// SPDX-License-Identifier: GPL-2.0
/* Uses all that it may */
#include <linux/module.h>

#include "greeter.h"

static int __init friend_init(void)
{
	pr_info("friend: %d\n", greeter_any() + greeter_gpl() + greeter_named() + greeter_chosen());
	return 0;
}
module_init(friend_init);

static void __exit friend_exit(void)
{
}
module_exit(friend_exit);

MODULE_DESCRIPTION("Uses all that it may");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("GREETER");
