//! Fields of Argo that belong to its pods and its controller, each with what to do instead.

/// A field, what it is, and what to do instead.
type Row = (&'static str, &'static str, &'static str);

/// How the pods of all steps, or of one, are made.
pub const POD: [Row; 18] = [
    ("volumes", "are volumes of the pods", "give them to the agents in spec.agent.podTemplate of their AgentPool"),
    ("serviceAccountName", "is the account of the pods", "write it in spec.agent.podTemplate of the AgentPool"),
    (
        "automountServiceAccountToken",
        "is about the account of the pods",
        "write it in spec.agent.podTemplate of the AgentPool",
    ),
    ("imagePullSecrets", "are secrets for images", "write them in spec.agent.podTemplate of the AgentPool"),
    ("nodeSelector", "says where pods run", "write it in spec.agent.podTemplate of the AgentPool"),
    ("affinity", "says where pods run", "write it in spec.agent.podTemplate of the AgentPool"),
    ("tolerations", "say where pods run", "write them in spec.agent.podTemplate of the AgentPool"),
    ("schedulerName", "says who places pods", "write it in spec.agent.podTemplate of the AgentPool"),
    (
        "priorityClassName",
        "is the priority of pods",
        "write it in spec.agent.podTemplate of the AgentPool; runs have spec.priority",
    ),
    ("securityContext", "is what pods may do", "write it in spec.agent.podTemplate of the AgentPool"),
    ("podSpecPatch", "changes the pods", "write it in spec.agent.podTemplate of the AgentPool"),
    ("hostAliases", "are names that pods know", "write them in spec.agent.podTemplate of the AgentPool"),
    ("executor", "configures Argo's own container", "leave it away: the sidecar needs nothing"),
    ("archiveLogs", "keeps the logs of pods", "collect the logs of the agents as those of any pod"),
    ("metrics", "are metrics of Argo", "use those of the Supervisor: duration, failures and queue of every pool"),
    ("synchronization", "is a lock or a semaphore", "bound the work with concurrency and replicas of the AgentPool"),
    ("priority", "is the order of workflows that wait", "write spec.priority: critical, high, normal or low"),
    ("archiveLocation", "is where logs and artifacts are kept", "let the agents keep what they make"),
];

/// The rest of a workflow's spec.
pub const SPEC: [Row; 17] = [
    (
        "volumeClaimTemplates",
        "are volumes made for one run",
        "give the agents volumes of their own, or pass what they make in outputs",
    ),
    ("volumeClaimGC", "is about volumes made for one run", "leave it away"),
    ("podGC", "removes pods of finished steps", "leave it away: agents stay and take the next task"),
    ("podMetadata", "are labels of the pods", "write them in spec.agent.podTemplate of the AgentPool"),
    ("podPriority", "is the priority of pods", "write spec.priority"),
    (
        "podDisruptionBudget",
        "keeps pods from being moved",
        "leave it away: a drain hands tasks back, and runs survive it",
    ),
    (
        "ttlStrategy",
        "says how long finished workflows are kept",
        "write spec.keepRuns, the number of finished runs that are kept",
    ),
    ("artifactRepositoryRef", "is where artifacts are kept", "let the agents keep what they make"),
    ("artifactGC", "removes artifacts", "let whoever keeps them remove them"),
    ("dnsPolicy", "is about the network of pods", "write it in spec.agent.podTemplate of the AgentPool"),
    ("dnsConfig", "is about the network of pods", "write it in spec.agent.podTemplate of the AgentPool"),
    ("hostNetwork", "is about the network of pods", "leave it away: agents have the network of pods"),
    ("hooks", "runs templates when something happens", "write steps with a condition"),
    ("shutdown", "stops a running workflow", "leave it away, or cancel the run"),
    ("templateDefaults", "holds for every template", "write it into the tasks"),
    ("workflowMetadata", "are labels of the runs", "write them into metadata of the Workflow"),
    ("podGCStrategy", "removes pods", "leave it away"),
];

/// The rest of a cron workflow.
pub const CRON: [Row; 5] = [
    ("successfulJobsHistoryLimit", "says how many runs are kept", "write spec.keepRuns"),
    ("failedJobsHistoryLimit", "says how many runs are kept", "write spec.keepRuns"),
    ("stopStrategy", "ends the schedule", "write schedule.suspend when it is to end"),
    ("when", "is a condition of the schedule", "write it as a condition of the first step"),
    ("workflowMetadata", "are labels of the runs", "write them into metadata of the Workflow"),
];

/// The rest of a parameter.
pub const PARAMETER: [Row; 4] = [
    ("description", "describes a parameter", "write it as a comment"),
    ("enum", "are the only values that are allowed", "refuse others in a policy, or let the agent do it"),
    ("globalName", "makes a parameter known everywhere", "read the output of the step that has it"),
    ("valueFrom", "takes a value from elsewhere", "give it to the run as a parameter"),
];

/// The rest of an artifact.
pub const ARTIFACT: [Row; 9] = [
    ("path", "is a file in the container", "the agent reads the value from its input"),
    ("mode", "are rights of a file", "leave it away"),
    ("recurseMode", "are rights of files", "leave it away"),
    ("optional", "allows an artifact to be missing", "let the agent cope with it"),
    ("archive", "says how files are packed", "let the agents agree on it"),
    ("archiveLogs", "keeps the logs of pods", "collect the logs of the agents as those of any pod"),
    ("subPath", "is a part of an artifact", "let the agent take what it needs"),
    ("globalName", "makes an artifact known everywhere", "read the output of the step that has it"),
    ("deleted", "is what Argo knows of an artifact", "leave it away"),
];

/// The rest of a template.
pub const TEMPLATE: [Row; 9] = [
    ("metadata", "are labels of the pods", "write them in spec.agent.podTemplate of the AgentPool"),
    ("annotations", "are annotations of Argo's display", "leave them away"),
    ("sidecars", "run beside the container", "write them in spec.agent.podTemplate of the AgentPool"),
    ("initContainers", "run before the container", "write them in spec.agent.podTemplate of the AgentPool"),
    ("memoize", "remembers outputs", "let the agent keep a cache"),
    ("daemon", "keeps the container running for later steps", "run it as a Deployment with a Service"),
    (
        "parallelism",
        "bounds what runs at once in this template",
        "bound it with concurrency and replicas of the AgentPool",
    ),
    ("failFast", "says whether a failure stops the rest", "write spec.onFailure"),
    ("resubmitPendingPods", "is about pods that cannot be placed", "leave it away"),
];
