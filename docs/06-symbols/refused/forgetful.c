// SPDX-License-Identifier: GPL-2.0
/* Uses what is in a namespace, and does not import it */
#include <linux/module.h>

#include "../greeter.h"

static int __init forgetful_init(void)
{
	pr_info("forgetful: %d\n", greeter_named());
	return 0;
}
module_init(forgetful_init);

MODULE_DESCRIPTION("Uses what is in a namespace, and does not import it");
MODULE_LICENSE("GPL");
