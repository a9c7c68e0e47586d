// SPDX-License-Identifier: GPL-2.0
/* Uses what is for another module */
#include <linux/module.h>

#include "../greeter.h"

static int __init stranger_init(void)
{
	pr_info("stranger: %d\n", greeter_chosen());
	return 0;
}
module_init(stranger_init);

MODULE_DESCRIPTION("Uses what is for another module");
MODULE_LICENSE("GPL");
