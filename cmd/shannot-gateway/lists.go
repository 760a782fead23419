package main

import "shannot-gateway/gateway/config"

func listContent(*config.Config) func(string) (bool, error) { return nil }
