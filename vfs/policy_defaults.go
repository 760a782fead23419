package vfs

// DefaultRead lists what a session sees of a target where the configuration does not say otherwise.
func DefaultRead() []string { return []string{"/"} }

// DefaultHide lists what is hidden within that. A caller adds its own state and configuration.
func DefaultHide() []string {
	hide := []string{
		// Passwords and keys of the host.
		"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd", "/etc/sudoers",
		"/etc/sudoers.d", "/etc/ssh/*_key", "/etc/ssl/private", "/etc/pki/tls/private", "/etc/pki/private",
		"/etc/krb5.keytab", "/etc/wireguard", "/etc/ipsec.secrets", "/etc/ipsec.d/private",
		"/etc/ppp/*-secrets", "/etc/NetworkManager/system-connections", "/etc/kubernetes/pki",
		"/etc/kubernetes/*.conf", "/etc/machine-id", "/etc/rancher",
		"/etc/**/*.key", "/etc/**/*-key.pem", "/etc/**/privkey*.pem", "/etc/**/*.p12", "/etc/**/*.pfx",
		"/etc/letsencrypt/accounts", "/etc/letsencrypt/keys",
		// Copies and links of them that distributions make.
		"/usr/lib/ssl/private", "/usr/local/ssl/private", "/var/backups/shadow*", "/var/backups/gshadow*", "/var/lib/dbus/machine-id",
		"/var/cache/debconf/passwords.dat",
		// Passwords and keys of people, wherever their home directory is.
		"**/.ssh/id_*", "**/.ssh/*.pem", "**/.ssh/*.key", "**/.gnupg", "**/.aws", "**/.azure", "**/.config/gcloud",
		"**/.kube", "**/.docker/config.json", "**/.netrc", "**/.pgpass", "**/.my.cnf", "**/.mylogin.cnf",
		"**/.git-credentials", "**/.config/gh", "**/.npmrc", "**/.pypirc", "**/.vault-token", "**/.password-store",
		"**/.env", "**/.s3cfg", "**/.boto", "**/.config/rclone", "**/.cargo/credentials*", "**/.gem/credentials",
		"**/.m2/settings.xml", "**/.terraform.d", "**/.Xauthority", "**/.ICEauthority",
		"**/.local/share/keyrings", "**/.mozilla", "**/.config/google-chrome", "**/.config/chromium",
		// What people typed, passwords included.
		"**/.*_history", "**/.history", "**/.lesshst", "**/.viminfo", "**/.local/share/fish",
		// Secrets of services, and memory on disk.
		"/run/secrets", "/run/credentials", "/run/systemd/credentials", "/var/lib/systemd/random-seed", "/var/lib/private",
		"/var/lib/kubelet/pki", "/var/lib/docker/swarm", "/var/lib/docker/containers/*/config*.json", "/swapfile", "/swap.img",
		"/var/lib/NetworkManager/secret_key", "/var/lib/samba/private", "/var/lib/sss/db", "/var/lib/sss/secrets", "/var/lib/krb5kdc",
		"/var/kerberos", "/var/lib/rancher", "/var/lib/bluetooth", "/var/lib/iwd", "/boot/grub/user.cfg", "/boot/grub2/user.cfg",
		// Memory and addresses of the kernel, and files that block, or act when they are read.
		"/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/kpage*", "/proc/vmcore", "/proc/vmallocinfo",
		"/proc/iomem", "/proc/ioports", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sched_debug",
		"/proc/sysrq-trigger", "/proc/acpi", "/proc/bus/pci", "/proc/fs/nfsd", "/proc/sys/fs/binfmt_misc",
		"/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/kernel/config",
		"/sys/kernel/mm/page_idle", "/sys/firmware/efi", "/sys/firmware/acpi", "/sys/firmware/dmi", "/sys/fs/pstore",
		"/sys/fs/bpf", "/sys/fs/fuse", "/sys/fs/selinux", "/sys/power", "/sys/module/*/sections",
		"/sys/module/*/notes", "/sys/kernel/notes", "/sys/kernel/vmcoreinfo", "/sys/devices/**/config",
		"/sys/devices/**/rom", "/sys/devices/**/vpd", "/sys/devices/**/resource*", "/sys/devices/**/nvmem",
		"/sys/devices/**/eeprom", "/sys/bus/nvmem",
	}
	// Memory, environment and open files of processes, and of each of their threads. The names of open files would
	// tell of hidden ones.
	for _, name := range []string{
		"environ", "mem", "auxv", "maps", "smaps", "smaps_rollup", "numa_maps", "pagemap", "map_files", "stack",
		"syscall", "fd", "fdinfo", "clear_refs", "personality",
	} {
		hide = append(hide, "/proc/*/"+name, "/proc/*/task/*/"+name)
	}
	return hide
}
