package forebayapi

import (
	"cmp"
	"context"
	"errors"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/secretsapi"
)

// Cluster is a cluster of databases that have been declared, with its settings.
type Cluster struct {
	Identifier     string
	ARN            string
	Engine         string
	Discover       bool
	MonitorSecret  *string // ARN
	MaxReplicaLag  int     // seconds; 0: no limit
	ReaderFallback string
	FromFile       bool // declared in the configuration file
}

// ModifyClusterInput changes settings of a cluster. What it leaves out stays as it is.
type ModifyClusterInput struct {
	Cluster        string `aws:"required"`
	Discover       *bool
	MonitorSecret  *string // ARN; empty: the first of the proxy's that can be had
	MaxReplicaLag  *int    // seconds; 0: no limit
	ReaderFallback *string // wait or writer
}

// ClusterOutput is the cluster as it is now.
type ClusterOutput struct{ Cluster Cluster }

func (s *server) modifyCluster(ctx context.Context, c *awsapi.Call, in *ModifyClusterInput) (*ClusterOutput, error) {
	var out *ClusterOutput
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		row, err := changeCluster(tx, c, in.Cluster, controlplane.ClusterChange{
			Discover: in.Discover, MonitorSecret: in.MonitorSecret, MaxReplicaLag: in.MaxReplicaLag, ReaderFallback: in.ReaderFallback,
		})
		if err != nil {
			return err
		}
		out = &ClusterOutput{clusterOf(tx.Account(), row)}
		return nil
	})
	switch {
	case errors.Is(err, controlplane.ErrFromFile):
		return nil, awsapi.Errorf(400, "InvalidDBClusterStateFault", "DB cluster %s: %v.", in.Cluster, err)
	case err != nil:
		return nil, refusal(err, in.Cluster)
	}
	return out, nil
}

// changeCluster changes settings for a caller who may. A secret is used in the name of each proxy of the cluster, if that proxy's
// role may read it. Who names it must be allowed to read it, too: a proxy's role is not to be had by way of a cluster.
func changeCluster(tx *controlplane.Tx, c *awsapi.Call, id string, change controlplane.ClusterChange) (*controlplane.Cluster, error) {
	st := tx.State()
	if err := mayTo(c, st, "ModifyCluster", controlplane.KindCluster, id); err != nil {
		return nil, err
	}
	if arn := awsapi.Value(change.MonitorSecret); arn != "" {
		access := awsapi.Access{Action: "secretsmanager:GetSecretValue", Resource: arn}
		if row := st.FindSecret(arn); row != nil {
			access = secretsapi.AccessTo(row, "GetSecretValue", nil)
		}
		if err := c.AuthorizeAccess(access); err != nil {
			return nil, err
		}
	}
	return tx.ModifyCluster(id, change)
}

func clusterOf(a *controlplane.Account, k *controlplane.Cluster) Cluster {
	return Cluster{
		Identifier: k.Identifier, ARN: a.ARN(controlplane.KindCluster, k.Identifier), Engine: k.Engine, Discover: k.Settings.Discover,
		MonitorSecret: awsapi.Optional(k.Settings.MonitorSecret), MaxReplicaLag: k.Settings.MaxReplicaLag,
		ReaderFallback: cmp.Or(k.Settings.ReaderFallback, controlplane.FallbackWait), FromFile: k.FromFile,
	}
}
