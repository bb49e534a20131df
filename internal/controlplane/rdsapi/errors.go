package rdsapi

import (
	"strings"

	"forebay/internal/controlplane/awsapi"
)

// The faults of the contract's catalogue (2.7), and the common ones (2.2).

func missing(member string) error {
	return awsapi.Errorf(400, "MissingParameter", "The request must contain the parameter %s", member)
}

func invalid(format string, args ...any) error {
	return awsapi.Errorf(400, "InvalidParameterValue", format, args...)
}

func combination(format string, args ...any) error {
	return awsapi.Errorf(400, "InvalidParameterCombination", format, args...)
}

func proxyNotFound(name string) error {
	return awsapi.Errorf(404, "DBProxyNotFoundFault", "DB proxy %s not found.", clip(name))
}

func endpointNotFound(name string) error {
	return awsapi.Errorf(404, "DBProxyEndpointNotFoundFault", "DB proxy endpoint %s not found.", clip(name))
}

func groupNotFound(name string) error {
	return awsapi.Errorf(404, "DBProxyTargetGroupNotFoundFault", "DB proxy target group %s not found.", clip(name))
}

func targetNotFound(name string) error {
	return awsapi.Errorf(404, "DBProxyTargetNotFoundFault", "DB proxy target %s not found.", clip(name))
}

func instanceNotFound(name string) error {
	return awsapi.Errorf(404, "DBInstanceNotFound", "DBInstance %s not found.", clip(name))
}

func clusterNotFound(name string) error {
	return awsapi.Errorf(404, "DBClusterNotFoundFault", "DBCluster %s not found.", clip(name))
}

func invalidSubnet(format string, args ...any) error {
	return awsapi.Errorf(400, "InvalidSubnet", format, args...)
}

func proxyState(format string, args ...any) error {
	return awsapi.Errorf(400, "InvalidDBProxyStateFault", format, args...)
}

func endpointState(format string, args ...any) error {
	return awsapi.Errorf(400, "InvalidDBProxyEndpointStateFault", format, args...)
}

// clip keeps what a caller has sent short in a message.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
