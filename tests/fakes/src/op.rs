//! The calls of AWS by their full names, what a person does in the console, and the answers.

/// One call of IAM, STS, S3 or SNS, or something that a person does in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    ListPolicyVersions(String),
    GetPolicyVersion(String, u64),
    /// With `SetAsDefault`; the wire accepts no other.
    CreatePolicyVersion(String, String),
    DeletePolicyVersion(String, u64),
    GetRole(String),
    UpdateAssumeRolePolicy(String, String),
    GetObject(String),
    PutObject {
        key: String,
        body: String,
        condition: Option<Condition>,
    },
    DeleteObject(String),
    /// A prefix, and the key after which the page begins.
    ListObjectsV2(String, Option<String>),
    /// A notice to an SNS topic.
    Publish {
        topic: String,
        subject: String,
        message: String,
    },
    AssumeRole {
        role: String,
        session: String,
        /// In seconds.
        duration: Option<u64>,
        policy: Option<String>,
    },
    /// A person in the console reads what is in force and saves it with these entries and tags added, in one moment.
    Edit {
        arn: String,
        entries: Vec<String>,
        tags: Vec<String>,
    },
    /// A person in the console saves a whole document that they read earlier.
    Save(String, String),
    /// A person in the console saves what is in force with a tag, and does not make it the default.
    Draft(String, String),
    /// A person in the console makes the newest of the other versions the default.
    SetOlderDefault(String),
    /// A person in the console deletes the newest of the versions that are not the default.
    DeleteNewest(String),
}

/// A conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Absent,
    Etag(String),
}

impl Op {
    /// Whether IAM answers it, also when it is done in the console.
    pub fn is_iam(&self) -> bool {
        !self.is_s3() && !matches!(self, Self::Publish { .. } | Self::AssumeRole { .. })
    }

    /// Whether S3 answers it.
    pub fn is_s3(&self) -> bool {
        matches!(
            self,
            Self::GetObject(_)
                | Self::PutObject { .. }
                | Self::DeleteObject(_)
                | Self::ListObjectsV2(..)
        )
    }

    /// Whether it only reads IAM, and so may be answered with something old.
    pub fn is_iam_read(&self) -> bool {
        matches!(self, Self::ListPolicyVersions(_) | Self::GetPolicyVersion(..) | Self::GetRole(_))
    }

    /// Whether a person does it.
    pub fn is_by_hand(&self) -> bool {
        matches!(
            self,
            Self::Edit { .. }
                | Self::Save(..)
                | Self::Draft(..)
                | Self::SetOlderDefault(_)
                | Self::DeleteNewest(_)
        )
    }

    /// Whether it writes the lease.
    pub fn writes_lease(&self) -> bool {
        matches!(self, Self::PutObject { key, .. } if key == "lease.json")
    }

    /// Whether it writes a document in IAM.
    pub fn writes_document(&self) -> bool {
        matches!(self, Self::CreatePolicyVersion(..) | Self::UpdateAssumeRolePolicy(..))
    }

    /// Whether it puts or deletes a grant.
    pub fn writes_grant(&self) -> bool {
        matches!(self, Self::PutObject { key, .. } | Self::DeleteObject(key) if key.starts_with("grants/"))
    }
}

/// An answer, or an error by its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Versions {
        ids: Vec<u64>,
        default: u64,
    },
    Document(String),
    Role {
        arn: String,
        trust_policy: String,
    },
    Created(u64),
    Object {
        etag: String,
        body: String,
        modified: i64,
    },
    Stored(String),
    Listing {
        objects: Vec<(String, i64)>,
        next: Option<String>,
    },
    /// The credentials of a role that was assumed, by their access key id.
    Assumed(String),
    Done,
    Error(u16, &'static str),
}

/// What IAM says of a thing that the replica asked does not know.
pub const NO_SUCH_ENTITY: Reply = Reply::Error(404, "NoSuchEntity");
