/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A module that does nothing but start a program as root, as a stranger's might.
 *
 * It is included after SCRIPT is defined: a line for /bin/sh, which finds a program that only says
 * that all went well in /tmp/ok.
 */
#include <linux/module.h>
#include <linux/umh.h>

static int __init helper_init(void)
{
	char *argv[] = {
		"/bin/sh", "-c",
		"printf '#!/bin/sh\\nexit 0\\n' > /tmp/ok; chmod 755 /tmp/ok; " SCRIPT
		"\necho the helper ran > /dev/kmsg", NULL
	};
	char *envp[] = { "PATH=/usr/sbin:/usr/bin", NULL };

	call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
	return 0;
}
module_init(helper_init);

static void __exit helper_exit(void)
{
}
module_exit(helper_exit);

MODULE_DESCRIPTION("Starts a program that deceives");
MODULE_LICENSE("GPL");
